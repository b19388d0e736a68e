"""The user's own weights: safetensors, or a state dict that PyTorch saved; never a pickle with code in it."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from lenet_edge.errors import BadInputError
from lenet_edge.files import MODEL_BYTES, read_bytes

__all__ = ["load_weights", "require_finite"]

_HINT = "Save them with `torch.save(net.state_dict(), 'weights.pt')` or safetensors.torch.save_file."
_PICKLE = (
    "{path} is a pickle of more than weights, such as a whole module; loading it could run any code, so it is not "
    "read. " + _HINT
)
_NESTED = ("state_dict", "model_state_dict", "model", "net", "weights")
_PREFIXES = ("module.", "model.", "net.", "_orig_mod.")  # DataParallel, Lightning, torch.compile
_SHOWN = 6  # names in a message


def load_weights(module: nn.Module, path: Path) -> None:
    """Set the weights of `module` to those of a file.

    Raises:
        BadInputError: the file is missing, damaged, a pickle of anything but tensors, or of another network.
    """
    data = read_bytes(path, "the file of weights", _HINT, limit=MODEL_BYTES)
    found = _without_prefixes(_tensors(data, path), module)
    wanted = module.state_dict()
    if problems := _differences(found, wanted):
        raise BadInputError(f"{path} has the weights of another network: {'; '.join(problems)}.")
    for name, tensor in found.items():
        # Read through a view, a tensor may be far larger than its file: its shape was compared above.
        if tensor.is_sparse or tensor.is_quantized or tensor.is_complex():
            raise BadInputError(f"{path}: {name} is {tensor.dtype}, {tensor.layout}; only dense real numbers are read.")
    module.load_state_dict({name: found.get(name, tensor) for name, tensor in wanted.items()})
    require_finite(module, str(path))


def require_finite(module: nn.Module, where: str) -> None:
    """Refuse weights that are NaN or infinite, which train to nothing and quantise to nothing."""
    bad = [name for name, tensor in module.state_dict().items() if not torch.isfinite(tensor).all()]
    if bad:
        raise BadInputError(f"{where}: {_listed(bad)} has values that are not finite: its training diverged.")


def _tensors(data: bytes, path: Path) -> dict[str, Tensor]:
    # A safetensors header begins after its length; the first byte of that may be anything.
    if data[8:9] != b"{" and (data[:2] == b"PK" or data[:1] == b"\x80"):
        content = _unpickled(data, path)
    else:
        try:
            content = safetensors.torch.load(data)
        except (safetensors.SafetensorError, KeyError, ValueError) as error:
            raise BadInputError(f"{path} is neither a safetensors file nor a state dict ({error}). {_HINT}") from error
    while isinstance(content, Mapping) and not _is_state_dict(content):
        inner = [content[key] for key in _NESTED if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    if not isinstance(content, Mapping) or not _is_state_dict(content):
        raise BadInputError(f"{path} has no state dict: it holds a {type(content).__name__}. {_HINT}")
    return dict(content)


def _is_state_dict(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())


def _unpickled(data: bytes, path: Path) -> Any:
    """What PyTorch's restricted unpickler reads: tensors and plain containers; nothing is executed."""
    try:
        if data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > MODEL_BYTES:
                    raise BadInputError(f"{path} would be larger than {MODEL_BYTES >> 20} MB when unpacked.")
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInputError(_PICKLE.format(path=path)) from error
    except BadInputError:
        raise
    except Exception as error:  # the kinds of damage are many: zip, pickle, storage
        if "pickle protocol" in str(error):
            raise BadInputError(_PICKLE.format(path=path)) from error
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise BadInputError(f"{path} cannot be read as a state dict ({reason}). {_HINT}") from error


def _without_prefixes(found: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Without what wrappers put before all names, where the module itself has other names."""
    wanted = module.state_dict().keys()
    while not wanted & found.keys():
        prefix = next((each for each in _PREFIXES if all(name.startswith(each) for name in found)), None)
        if prefix is None:
            break
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found


def _differences(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    # Counted since 2018; files of before lack it, and evaluation does not use it.
    missing = [name for name in wanted if name not in found and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in found if name not in wanted]
    shapes = [
        f"{name} is {list(found[name].shape)} there and {list(tensor.shape)} in the module"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    problems = [f"{_listed(missing)} is missing"] if missing else []
    problems += [f"{_listed(unexpected)} is not in the module"] if unexpected else []
    more = len(shapes) - _SHOWN
    return problems + shapes[:_SHOWN] + ([f"and {more} more of another shape"] if more > 0 else [])


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
