"""Any record of each kind, for tests that must hold for all of them."""

import string

from hypothesis import strategies as st

from lenet_edge import records

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
sha256s = st.text("0123456789abcdef", min_size=64, max_size=64)
boards = st.text(string.ascii_lowercase + string.digits + "_-", min_size=1, max_size=12)
names = st.text(string.ascii_letters + string.digits + "._", min_size=1, max_size=12).filter(
    lambda name: name.strip(".")
)
sizes = st.integers(0, 1 << 32)
files = st.dictionaries(st.lists(names, min_size=1, max_size=3).map("/".join), sha256s, max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
manifests = st.builds(
    records.Manifest, files, sha256s, texts, st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)
)
builds = st.builds(
    records.BuildRecord,
    *(boards, sha256s, texts, texts, texts, sha256s, st.builds(records.Sizes, *[sizes] * 6), files),
    *(st.dictionaries(texts, texts, max_size=2), texts),
    like=st.none() | texts,
    stack_depth=sizes,
    stack_inference=sizes,
    stack_problem=texts | st.just(""),
    stack_path=st.lists(texts, max_size=3).map(tuple),
)


@st.composite
def benches(draw):
    total = draw(st.integers(1, 10**15))
    counts = st.integers(0, total)
    layers = st.builds(records.LayerCount, texts, counts, st.integers(0, 10**15), texts, texts)
    return records.BenchRecord(
        *(draw(strategy) for strategy in (boards, texts, texts, texts, sha256s, st.none() | sha256s)),
        images=draw(st.integers(1, 10**15)),
        unit=draw(st.sampled_from(["instructions", "cycles"])),
        total=total,
        mean=draw(counts),
        layers=tuple(draw(st.lists(layers, max_size=4, unique_by=lambda layer: layer.name))),
        **{name: draw(sizes) for name in ("flash_bytes", "ram_bytes", "stack_used_bytes")},
        stack_proved_bytes=draw(st.none() | sizes),
        stack_problem=draw(st.none() | texts),
    )


@st.composite
def measures(draw):
    kind = draw(st.sampled_from(["accuracy", "drop_points", "logits_differ", "flash_bytes", "ram_bytes", "cycles"]))
    shares = {"accuracy": st.floats(0, 1), "drop_points": st.floats(-100, 100)}
    values = shares.get(kind, st.integers(0, 10**15))
    budget, base = draw(st.none() | values), draw(st.none() | values)
    return records.Measure(draw(boards | st.just("model")), kind, draw(values), budget, base)


budgets = st.builds(
    records.BudgetRecord,
    fingerprint=texts,
    data=texts,
    images=st.integers(0, 10**15),
    toolchains=st.dictionaries(boards, texts, max_size=3),
    base_fingerprint=st.none() | texts,
    measures=st.lists(measures(), max_size=4, unique_by=lambda line: (line.of, line.name)).map(tuple),
    problems=st.lists(texts, max_size=2).map(tuple),
    notes=st.lists(texts, max_size=2).map(tuple),
)


@st.composite
def events(draw):
    event = draw(st.sampled_from(["refused", "begins", "done", "failed"]))
    stage = st.builds(records.FlashStage, texts, texts, st.floats(0, 1e9))
    stages, counts = st.lists(stage, max_size=3).map(tuple), st.integers(0, 10**15)
    table = st.dictionaries(texts, json_values, max_size=3)
    return records.FlashEvent(
        draw(texts),
        event,
        *(draw(strategy) for strategy in (boards, sha256s, sha256s, texts, table, table, st.booleans())),
        passed_over=tuple(draw(st.lists(texts, max_size=2))),
        not_shown=tuple(draw(st.lists(texts, max_size=2))),
        error=draw(texts) if event in ("refused", "failed") else None,
        result=draw(
            st.builds(records.FlashResult, stages, texts, counts, counts, sizes, st.none() | sizes, st.none() | texts)
        )
        if event == "done"
        else None,
    )


@st.composite
def engines(draw, images, right):
    """An engine next to the reference, which has `right` of the images right."""
    name, version = draw(st.sampled_from(["tflm", "litert-xnnpack", "host_c"])), draw(st.none() | texts)
    status, message = draw(st.sampled_from(["ran", "same", "absent", "failed"])), draw(texts)
    if status in ("absent", "failed"):
        return records.EngineResult(name, version, status, message=message)
    figures = (right / images, 0, 0, 0, 0)
    if status == "ran":
        logits = draw(st.integers(1, 10**6))
        differ = draw(st.integers(1, min(images, logits)))
        figures = (draw(st.integers(0, images)) / images, logits, differ, draw(st.integers(0, differ)))
        figures = (*figures, draw(st.integers(1, 255)))
    layer, place = draw(st.none() | texts), draw(st.integers(0, images - 1))
    first = records.Difference(place, draw(st.integers(0, 9)), draw(st.integers(-128, 127)), 5, layer, draw(texts))
    return records.EngineResult(
        *(name, version, "ran", images, *figures, draw(st.floats(0, 1e6)), draw(st.none() | texts), message),
        rule=draw(texts),
        beyond_rule=draw(st.none() | st.integers(0, 10**6)),
        first_difference=first if status == "ran" else None,
    )


@st.composite
def checks(draw):
    images = draw(st.integers(1, 10_000))
    right, of_float = draw(st.integers(0, images)), draw(st.integers(0, images))
    others = draw(st.lists(engines(images, right), max_size=3, unique_by=lambda engine: engine.name))
    reference = records.EngineResult("reference", None, "ran", images, right / images, 0, 0, 0, 0, 1.5)
    drop = 100 * (of_float / images - right / images)
    compared = draw(st.booleans())
    agree = [engine for engine in others if not engine.logits_differ and not engine.beyond_rule]
    ran = {engine.name for engine in agree if engine.status == "ran"}
    may_pass = len(ran) == len(others) and {"tflm", "litert-xnnpack"} <= ran
    problems = draw(st.lists(texts, min_size=not may_pass, max_size=2))
    return records.CheckRecord(
        *(draw(strategy) for strategy in (sha256s, texts, sha256s, st.integers(images, 10**6))),
        images=images,
        float_accuracy=of_float / images if compared else None,
        float_sha256=draw(sha256s) if compared else None,
        int8_accuracy=right / images,
        drop_points=drop if compared else None,
        drop_interval=(drop - 0.5, drop + 0.5) if compared and abs(drop) < 99 else None,
        mcnemar_p=draw(st.floats(0, 1)) if compared else None,
        confusion=records.Confusion(draw(st.tuples(texts, texts)), ((right, images - right), (0, 0))),
        max_drop=100.0,
        passed=not problems,
        problems=tuple(problems),
        warnings=tuple(draw(st.lists(texts, max_size=2))),
        engines=(reference, *others),
        firmware=draw(st.dictionaries(boards, sha256s, max_size=2)),
        like=None,
    )


steps = st.builds(records.StepRecord, texts, st.dictionaries(texts, texts, max_size=3), files)
pipelines = st.builds(records.PipelineRecord, st.lists(steps, max_size=4, unique_by=lambda step: step.name).map(tuple))


@st.composite
def sweep_rows(draw, number):
    complete = draw(st.booleans())
    shares, maybe = st.floats(0, 1), st.none() if not complete else st.floats(0, 1)
    state = "complete" if complete else draw(st.sampled_from(["waiting", "running", "failed", "lost"]))
    values = draw(st.dictionaries(texts, texts | st.integers(-(2**60), 2**60) | shares | st.booleans(), max_size=3))
    words = (draw(sizes), draw(st.none() | sizes), draw(texts), draw(texts))
    found = [draw(each) if complete else None for each in (shares, shares, sizes, shares, sha256s, st.none() | texts)]
    return records.SweepRow(number, values, state, *words, *found, draw(maybe), draw(maybe))


sweeps = st.integers(0, 3).flatmap(
    lambda count: st.builds(
        records.SweepRecord,
        *(texts, texts, texts, sha256s, st.none() | boards),
        st.tuples(*map(sweep_rows, range(count))),
    )
)


@st.composite
def fits(draw):
    layers = draw(st.lists(texts, min_size=1, max_size=3, unique=True))
    losses = st.floats(-1e6, 1e6)
    choices = [records.FitChoice(name, bits, draw(sizes), draw(losses)) for name in layers for bits in (8, 4, 2)]
    budget = draw(sizes)

    def row(*, chosen):
        bits = {name: draw(st.sampled_from([8, 4, 2])) for name in layers}
        flash = draw(st.integers(0, budget) if chosen else sizes)
        accuracy = draw(st.floats(0, 1) if chosen else st.none() | st.floats(0, 1))
        over = max(0, flash - budget)
        return records.FitRow(bits, flash, over, draw(st.floats(0, 1e6)), accuracy, 0 if chosen else draw(sizes))

    count = draw(st.integers(1, 4))
    place = draw(st.integers(0, count - 1))
    rows = tuple(row(chosen=number == place) for number in range(count))
    optimize = draw(st.sampled_from(["speed", "size"]))
    return records.FitRecord(draw(boards), budget, draw(texts), draw(sha256s), place, tuple(choices), rows, optimize)
