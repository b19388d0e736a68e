"""What somebody asks of a preparation, before the data have said the rest."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from lenet_edge.errors import BadInputError
from lenet_edge.preparation.settings import Crop, Invert, Preparation

__all__ = ["PreparationRequest"]


@dataclass(frozen=True)
class PreparationRequest:
    """Settings of a `Preparation`, as far as they are given; None is left to the data set.

    Attributes:
        height, width, channels, crop, invert, centred: as in `Preparation`.
    """

    height: int | None = None
    width: int | None = None
    channels: int | None = None
    crop: Crop | None = None
    invert: Invert | None = None
    centred: bool | None = None

    def completed(self, usual: Preparation) -> Preparation:
        """The preparation: what is asked for, and of `usual` the rest.

        Raises:
            BadInputError: what is asked for and the rest exclude each other.
        """
        if self.channels == 3 and usual.centred and self.centred is None:
            raise BadInputError(
                "colour images are needed here, and MNIST's are grey and centred: name pictures in colour with --data, "
                "or use grey images"
            )
        return replace(usual, **{name: value for name, value in asdict(self).items() if value is not None})
