# SPDX-License-Identifier: Apache-2.0
"""Whose loader decides what is quantized, and what there is to say of its decisions."""

from quarrow import _core
from quarrow.counts import counted, verb
from quarrow.exceptions import InvalidInputError
from quarrow.safe_repr import safe_repr

# Fewer are a part of a model, or a trial: their names say nothing of the whole.
_LAYERS_OF_A_MODEL = 8

_REMEDY = (
    "ComfyUI loads quantized only diffusion models in their original names and large text "
    "encoders: take such a file, or for a loader of your own runtime='none' (--runtime none)"
)
_UNKNOWN = (
    "these are the names of no model that ComfyUI is known to load, so nothing was held back; make "
    "sure that it loads the file, or say runtime='none' (--runtime none) for a loader of your own"
)
_NO_RULES = (
    "runtime='none' held nothing back: wherever ComfyUI loads no quantized layers it takes the "
    "codes for the weights, without an error; this file is for a loader of your own"
)


def check_runtime(runtime: object, format: _core.Format) -> None:
    """Raise InvalidInputError for an unknown runtime, or a format that it does not read."""
    if runtime is None:
        return
    if not isinstance(runtime, str) or runtime not in ("comfyui", "none"):
        msg = f"runtime must be 'comfyui', 'none' or None, not {safe_repr(runtime)}"
        raise InvalidInputError(msg)
    own = _core.runtime_of(format)
    if own != "any" and runtime not in ("none", own):
        names = [each.name for each in _core.formats()]
        read = [name for name in names if _core.runtime_of(_core.Format(name)) == runtime]
        msg = f"{runtime} does not read {format.name}; of these formats it reads {', '.join(read)}"
        raise InvalidInputError(msg)


def nothing_loads(job: _core.FileJob) -> str | None:
    """Return why the runtime would load nothing of the file quantized, and the remedy."""
    _, _, held_back, _, reason = job.runtime_rules
    if job.quantized or not held_back:
        return None
    return f"nothing can be quantized: {reason}; {_REMEDY}"


def refuse(job: _core.FileJob, runtime: str | None) -> str | None:
    """Return the same, or raise InvalidInputError when the caller named the runtime."""
    refusal = nothing_loads(job)
    if refusal is not None and runtime is not None:
        raise InvalidInputError(refusal)
    return refusal


def runtime_warnings(job: _core.FileJob, format: _core.Format, runtime: str | None) -> list[str]:
    """Return what the caller should know of a plan that quantizes something."""
    _, _, _, overruled, reason = job.runtime_rules
    if not job.quantized:
        return []
    if runtime == "none":
        return [] if _core.runtime_of(format) in ("none", "any") else [_NO_RULES]
    if overruled:
        layers = f"{counted(overruled, 'layer')} {verb(overruled, 'is', 'are')}"
        return [f"{layers} quantized by a rule, and would be read as noise: {reason}"]
    return []


def adapter_warnings(job: _core.FileJob) -> list[str]:
    """Return what the caller should know of an adapter that is quantized."""
    adapters = job.adapter_factors
    if not adapters:
        return []
    matrices = counted(adapters, "LoRA matrix", "LoRA matrices")
    text = f"{matrices} {verb(adapters, 'was', 'were')} quantized: no runtime loads quantized "
    return [text + "adapters, this file is an archive"]


def file_warnings(job: _core.FileJob, format: _core.Format, runtime: str | None) -> list[str]:
    """Return the same, and what the names of a whole file say of it."""
    warnings = runtime_warnings(job, format, runtime)
    if adapters := adapter_warnings(job):
        return [*adapters, *warnings]
    name, known, _, _, _ = job.runtime_rules
    if name != "none" and not known and job.quantized >= _LAYERS_OF_A_MODEL:
        warnings.append(_UNKNOWN)
    return warnings
