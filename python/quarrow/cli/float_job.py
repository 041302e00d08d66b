# SPDX-License-Identifier: Apache-2.0
"""What `quarrow dequantize` and `quarrow convert` do with their job."""

import json
from collections.abc import Callable

import quarrow
from quarrow.cli import file_options
from quarrow.cli.progress import file_progress
from quarrow.cli.summary import print_summary


def run_float_job(
    job: Callable[..., quarrow.FileReport],
    source: str,
    *,
    as_json: bool,
    dry_run: bool,
    force: bool,
    sync: bool,
    threads: int | None,
) -> None:
    """Refuse what would do nothing or replace a file, run the job, and print its report."""
    plan = job(dry_run=True)
    if plan.refusal is not None:
        if as_json:
            print(json.dumps(plan.to_dict(), indent=2))
        raise quarrow.InvalidInputError(plan.refusal)
    if not (force or dry_run):
        file_options.refuse_others(source, plan.files)
    with file_progress() as progress:
        done = job(progress=progress, threads=threads, sync=sync, dry_run=dry_run)
    if as_json:
        print(json.dumps(done.to_dict(), indent=2))
    else:
        print_summary(done)
