"""Download: an image from the network, such as an all-sky camera's."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from ...images import Image, ImageError
from ...images.provenance import InputFile
from ..computing import off_loop
from ..context import current_run
from ..processor import Processor
from .fetching import fetch, web_address


class Download(Processor):
    """Replace the image by one that is fetched by HTTP, of any format that can be read from a file.

    Cards of the incoming header stay where the new image has none of that name. An image without a time of its own,
    such as a webcam's, gets DATE-OBS, the moment at which it was asked for. If the incoming image has no name, the last
    part of the address becomes its name; ``{stem}`` in a filename stands for that.

    A server that cannot be reached, is too slow or breaks off may do better later (`retry`); a file that does not
    exist, is too large or no image will not.
    """

    reads = frozenset()
    writes = {"data", "header", "mask?", "uncertainty?", "catalog?", "raw?"}

    url: str = Field(description="address of the image: http://camera.local/image.jpg")
    patience: PositiveFloat = Field(60.0, description="longest time for the whole download [s]")
    limit: PositiveInt = Field(512_000_000, description="largest file [byte]")
    image_name: str | None = Field(
        None, description="what the image is called; by default as before, else as in the address"
    )
    user: str | None = Field(None, description="user, for cameras that ask for one")
    password_file: Path | None = Field(None, description="file that holds the password, and nothing else")
    authentication: Literal["basic", "digest"] = Field("basic", description="how user and password are given")
    verify: bool = Field(True, description="check the certificates of https")

    @field_validator("url")
    @classmethod
    def _is_web_address(cls, url: str) -> str:
        try:
            web_address(url)
        except ImageError as error:
            hint = "; give 'user' and 'password_file'" if "password" in str(error) else ""
            raise ValueError(f"{error}{hint}") from None
        return url

    async def __call__(self, image: Image, state: Any = None) -> Image:
        asked = datetime.now(UTC)
        pieces: list[bytes] = []
        async with fetch(
            self.url, limit=self.limit, timeout=self.patience, verify=self.verify, auth=await off_loop(self._login)
        ) as download:
            async for piece in download.pieces:
                pieces.append(piece)  # noqa: PERF401
        data = b"".join(pieces)
        if not data:
            raise ImageError(f"{self.url}: the file is empty")
        digest = await off_loop(lambda: hashlib.sha256(data).hexdigest())
        current_run().inputs.append(InputFile(path=download.url, size=len(data), sha256=digest))
        return await off_loop(
            self._replaced, image, data, self.image_name or image.name or download.name or "download", asked
        )

    def _login(self) -> Any:
        if self.user is None:
            return None
        import httpx

        try:
            password = "" if self.password_file is None else self.password_file.read_text().strip()
        except OSError as error:
            raise ImageError(f"password_file {self.password_file} cannot be read: {error.strerror}") from error
        return (httpx.BasicAuth if self.authentication == "basic" else httpx.DigestAuth)(self.user, password)

    def _replaced(self, image: Image, data: bytes, name: str, asked: datetime) -> Image:
        fetched = Image.from_bytes(data, name=name)
        header = image.header.copy()
        header.update(fetched.header)
        if not _has_time(fetched):
            header["DATE-OBS"] = (asked.isoformat(timespec="milliseconds")[:-6], "UTC, when it was asked for")
        made = image.replace(
            data=fetched.data,
            header=header,
            mask=fetched.safe_mask,
            uncertainty=fetched.safe_uncertainty,
            catalog=fetched.safe_catalog,
            raw=fetched.safe_raw,
            axes=fetched.axes if fetched.data.ndim == 3 else None,
        )
        made.name = fetched.name
        return made


def _has_time(image: Image) -> bool:
    try:
        return image.observation_time is not None
    except ImageError:  # it has one, though nobody understands it
        return True
