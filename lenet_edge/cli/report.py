"""`lenet-edge report`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lenet_edge.cli import common, inputs
from lenet_edge.cli.options import refuse_given
from lenet_edge.errors import BadInputError

if TYPE_CHECKING:
    from lenet_edge.report.document import Build, Samples

_MACS = 5 * 10**9  # multiply-accumulates that the reference spends on the worst images: some seconds
_FOLDER = click.Path(path_type=Path)


@click.command()
@click.option(
    "--build",
    type=_FOLDER,
    default=Path("build"),
    show_default=True,
    metavar="DIR",
    help="The folder with the records.",
)
@click.option(
    "--model",
    type=_FOLDER,
    metavar="FILE",
    help="The int8 model.  [default: the one in DIR that `check` was of, or the only one]",
)
@click.option(
    "--compare", "other", type=_FOLDER, metavar="DIR", help="Another build folder, to stand beside the first."
)
@click.option(
    "--compare-model",
    "other_model",
    type=_FOLDER,
    metavar="FILE",
    help="The int8 model of the other.  [default: as above]",
)
@click.option(
    "--data",
    metavar="NAME|DIR|FILE|noise",
    help="Test inputs, for the worst images and for what layers give.  [default: those that `check` had, if they are "
    "there]",
)
@click.option(
    "--images",
    "image_count",
    type=common.IMAGE_COUNT,
    metavar="N",
    help="Look for the worst among the first N test images.  [default: as many as `check` had, fewer of large models]",
)
@click.option(
    "--page", type=_FOLDER, metavar="FILE", help="Also show a page that `lenet-edge page` wrote, on which one draws."
)
@common.out_option("DIR/report.html")
@common.json_option
def report(
    build: Path,
    model: Path | None,
    other: Path | None,
    other_model: Path | None,
    data: str | None,
    image_count: int | None,
    page: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Make one HTML file to look at of what other commands left.

    The file needs no network and no other file, can be read in light and dark, on a phone and on paper, and runs
    no script, except that of a --page. It shows what DIR has of the model: the records of `quantize`, `check`,
    `build` and `bench`. What was not measured is not shown.
    """
    from lenet_edge.files import write_file
    from lenet_edge.report.document import find_model, read_folder, read_page, write_report

    if other is None:
        refuse_given("without --compare", "other_model")
    places = [(build, model), *([] if other is None else [(other, other_model)])]
    builds = [read_folder(folder, path or find_model(folder)) for folder, path in places]
    drawing = None if page is None else read_page(page, {each.model.fingerprint for each in builds})
    builds = [_with_tests(each, data, image_count) for each in builds]
    for each in builds:
        for remark in each.remarks:
            common.log(f"warning: {remark}")
    content = write_report(builds, _names(builds), drawing)
    path = out or build / "report.html"
    write_file(path, content)
    models = [_facts(each) for each in builds]
    verdicts = [each["verdict"] for each in models]
    common.show(
        {"out": str(path), "bytes": len(content), "models": models},
        as_json=as_json,
        tables=lambda: [*verdicts, f"{path}: {len(content) / 1024:,.0f} KB"],
    )


def _facts(build: Build) -> dict[str, Any]:
    """What ``--json`` says of a build."""
    from lenet_edge.report.document import verdict_of

    return {
        "model": str(build.path),
        "fingerprint": build.model.fingerprint,
        "verdict": "".join(map(str, verdict_of(build).words)),
        "left_out": build.remarks,
    }


def _names(builds: list[Build]) -> list[str]:
    """What the builds are called: by their models, or where these have one name, by their folders too."""
    names = [each.name for each in builds]
    return names if len(set(names)) == len(names) else [f"{each.name} ({each.folder})" for each in builds]


def _with_tests(build: Build, data: str | None, image_count: int | None) -> Build:
    """The build with test images; those that `check` had are left out where they are not there any more."""
    from lenet_edge.quantized.model import macs

    record = None if build.check is None else build.check.record
    named = data or (build.model.metadata.get("dataset") if record is None else record.data)
    if named is None:
        return build
    cost = max(1, sum(map(macs, build.model.layers)))
    count = image_count or min(max(1, _MACS // cost), 10**9 if record is None else record.images)
    try:
        tests, digest = _samples(build, str(named), count)
        if data is None and record is not None and digest != record.data_sha256:
            raise BadInputError(f"the images of {named} are not those that {build.folder / 'check.json'} is of")
    except BadInputError as error:
        if data is not None:
            raise
        return replace(build, remarks=(*build.remarks, f"no images are shown: {error}"))
    return replace(build, tests=tests)


def _samples(build: Build, data: str, count: int) -> tuple[Samples, str]:
    """The first `count` test images, and what names the whole test set."""
    from lenet_edge.report.document import Samples

    found = inputs.test_inputs(build.model, data, count, None)
    return Samples(data, found.images, found.pixels, found.labels, found.files, found.data_images), found.data_sha256
