# SPDX-License-Identifier: Apache-2.0
"""Which tests reach a source file, the cheapest first.

Whatever survives them may still be known to others, which then belong here.
"""

from fnmatch import fnmatch
from typing import NamedTuple


class Reach(NamedTuple):
    """Test programs of C++, by their layer, and test files of Python, from ``tests/python``."""

    layers: tuple[str, ...]
    files: tuple[str, ...]


_QUANTIZE = ("test_minimal", "test_quantize", "test_exceptions", "test_bits_narrow")
_BITS = ("test_bits_shapes", "test_bits_values", "test_bits_reference", "test_bits_large")
_FILES = (
    "test_files",
    "test_files_compressed",
    "test_shards",
    "test_state_dict",
    "test_files_report",
    "test_runtime_rules",
    "test_foreign_layers",
    "test_output_names",
)
_READ_FILES = ("test_checkpoint", "test_files_damaged", "test_dimensions")
_ARROW = ("test_arrow", "test_arrow_errors", "test_arrow_producers", "test_arrow_memory")
_STREAMS = ("test_arrow_streams", "test_arrow_schemas")
_LISTS = ("test_arrow_nested", "test_arrow_names", "test_arrow_damaged")
_BATCH = ("test_batch", "test_batch_errors")
_CALLS = ("test_metrics", "test_call_log")
_INPUTS = (
    "test_inputs",
    "test_invalid_inputs",
    "test_inputs_without_memory",
    "test_exporters",
    "test_dimensions",
)
_TENSOR = ("test_quantized_tensor", "test_format", "test_lifetimes")
_COMMANDS = (
    "cli/test_cli_quantize",
    "cli/test_cli_files",
    "cli/test_cli_selection",
    "cli/test_cli_runtime",
    "cli/test_cli_no_ops",
)
_REPORT_PAGE = ("cli/test_cli_report",)
_OTHER_COMMANDS = (
    "cli/test_cli_summary",
    "cli/test_cli_inspect",
    "cli/test_cli_compare",
    "cli/test_cli_terminal",
    "cli/test_cli_streams",
    "cli/test_cli_signals",
    "cli/test_cli_help",
)

# The first pattern that fits a path counts.
_REACH: tuple[tuple[str, Reach], ...] = (
    ("src/core/*", Reach(("core", "quantize"), (*_QUANTIZE, "test_threads", "test_bindings"))),
    ("src/kernels/*", Reach(("kernels", "quantize"), (*_QUANTIZE, *_BITS))),
    (
        "src/quantize/*",
        Reach(("quantize", "pipeline"), (*_QUANTIZE, "test_format", *_BATCH, *_BITS)),
    ),
    ("src/arrow/*", Reach(("arrow",), (*_ARROW, *_STREAMS, *_LISTS, "test_dimensions"))),
    ("src/containers/*", Reach(("containers", "layouts", "pipeline"), (*_READ_FILES, *_FILES))),
    ("src/layouts/*", Reach(("layouts", "pipeline"), (*_FILES, *_READ_FILES))),
    (
        "src/pipeline/read_layer.cpp",
        Reach(("pipeline",), ("test_checkpoint", "cli/test_cli_compare")),
    ),
    ("src/pipeline/*", Reach(("pipeline",), (*_FILES, "test_exceptions", "test_files_damaged"))),
    ("bindings/*arrow*", Reach((), (*_ARROW, *_STREAMS, *_LISTS, "test_call_log"))),
    ("bindings/*batch*", Reach((), (*_BATCH, *_CALLS, "test_lifetimes", "test_arrow"))),
    ("bindings/*checkpoint*", Reach((), (*_READ_FILES, *_FILES, "test_lifetimes", *_CALLS))),
    ("bindings/*file*", Reach((), (*_FILES, *_READ_FILES, *_CALLS, *_COMMANDS))),
    ("bindings/*metrics*", Reach((), _CALLS)),
    ("bindings/throughput*", Reach(("bindings",), ("test_call_log",))),
    ("bindings/python_function*", Reach((), ("test_python_functions", "test_bindings"))),
    ("bindings/call_*", Reach((), (*_CALLS, "test_info", "test_bindings", *_BATCH))),
    (
        "bindings/*info*",
        Reach((), ("test_info", "test_bindings", "test_docstrings", "cli/test_cli_files")),
    ),
    (
        "bindings/*",
        Reach((), (*_QUANTIZE, *_TENSOR, *_INPUTS, *_FILES, *_CALLS, "test_info")),
    ),
    ("python/quarrow/arrow.py", Reach((), (*_ARROW, *_STREAMS))),
    ("python/quarrow/legacy.py", Reach((), ("test_legacy", "test_metrics"))),
    ("python/quarrow/call_log.py", Reach((), ("test_call_log",))),
    ("python/quarrow/input_coercion.py", Reach((), _INPUTS)),
    ("python/quarrow/state_dict.py", Reach((), ("test_state_dict", "test_metrics"))),
    ("python/quarrow/safe_repr.py", Reach((), ("test_safe_repr",))),
    ("python/quarrow/rejection.py", Reach((), (*_INPUTS, "test_state_dict"))),
    ("python/quarrow/torch_tensors.py", Reach((), (*_INPUTS, "test_state_dict"))),
    ("python/quarrow/stored_dtypes.py", Reach((), ("test_state_dict", "test_files", *_INPUTS))),
    ("python/quarrow/layer_rules.py", Reach((), ("test_rules_dict", *_FILES, *_BATCH, *_COMMANDS))),
    ("python/quarrow/signatures.py", Reach((), ("test_python_functions",))),
    ("python/quarrow/format_names.py", Reach((), ("test_format", "cli/test_cli_help"))),
    ("python/quarrow/counts.py", Reach((), ("test_counts", "cli/test_cli_inspect"))),
    ("python/quarrow/isa_names.py", Reach((), ("test_info", "cli/test_cli_help"))),
    ("python/quarrow/cli/help_page.py", Reach((), ("cli/test_cli_help",))),
    ("python/quarrow/cli/report_page/*", Reach((), _REPORT_PAGE)),
    ("python/quarrow/cli/compare.py", Reach((), ("cli/test_cli_compare",))),
    ("python/quarrow/cli/completion.py", Reach((), ("cli/test_cli_completion",))),
    (
        "python/quarrow/cli/summary.py",
        Reach((), ("cli/test_cli_summary", "cli/test_cli_quantize", "cli/test_cli_selection")),
    ),
    ("python/quarrow/cli/inspect.py", Reach((), ("cli/test_cli_inspect",))),
    (
        "python/quarrow/cli/*",
        Reach(
            (),
            (*_COMMANDS, *_REPORT_PAGE, *_OTHER_COMMANDS),
        ),
    ),
    ("*", Reach((), (*_FILES, *_READ_FILES, *_BATCH, *_TENSOR, *_QUANTIZE, *_CALLS, *_COMMANDS))),
)


def reach_of(path: str) -> Reach:
    """Return the tests that are asked about a change of a source file."""
    return next(reach for pattern, reach in _REACH if fnmatch(path, pattern))
