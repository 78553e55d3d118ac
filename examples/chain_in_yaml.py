"""A chain in YAML, run from Python over simulated frames. Products go to the folder given, or to ./field.

python examples/chain_in_yaml.py [FOLDER]
"""

import sys
from pathlib import Path

from etendue.pipeline import load_pipeline
from etendue.processors.simulation import write_fields

CHAIN = Path(__file__).with_name("field.yaml")


def main(folder: Path) -> None:
    """Simulate three frames, take them through the chain, say what came out."""
    frames = write_fields(folder / "raw", 3, shape=(256, 256), seed=5)
    chain = load_pipeline(CHAIN, variables={"threshold": "5"}, overrides=["steps.SepPhotometry.apertures=[4, 6]"])

    results = chain.run(frames, output=folder / "reduced")

    print(results.summary())
    for outcome in results.outcomes:
        print(f"{outcome.path.name}: {', '.join(product.name for product in outcome.products)}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "field"))
