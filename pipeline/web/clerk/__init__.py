"""What the page needs computed: functions that run in a process of their own, and speak JSON."""

FUNCTIONS = {
    "image_picture": "etendue.pipeline.web.clerk.pictures:image_picture",
    "image_pixel": "etendue.pipeline.web.clerk.pixels:image_pixel",
    "image_info": "etendue.pipeline.web.clerk.products:image_info",
    "image_header": "etendue.pipeline.web.clerk.products:image_header",
    "image_provenance": "etendue.pipeline.web.clerk.products:image_provenance",
    "image_sources": "etendue.pipeline.web.clerk.products:image_sources",
    "master_comparison": "etendue.pipeline.web.clerk.masters:master_comparison",
    "master_picture": "etendue.pipeline.web.clerk.masters:master_picture",
    "judge_master": "etendue.pipeline.web.clerk.masters:judge_master",
    "validate_chain": "etendue.pipeline.web.clerk.chains:validate_chain",
    "draw_chain": "etendue.pipeline.web.clerk.chains:draw_chain",
    "list_processors": "etendue.pipeline.web.clerk.chains:list_processors",
    "chain_schema": "etendue.pipeline.web.clerk.chains:chain_schema",
}
"""What the page's clerk can be asked for: each takes named arguments, and returns a dictionary."""
