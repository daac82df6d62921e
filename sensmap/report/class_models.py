"""The report of class models: the images, and what the classifier says of each.

Everywhere, ``found`` holds `sensmap.class_model.ClassModels` by the name of their objective, all
of the same classes in the same order, and ``name_of`` gives what to call a class id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from sensmap import files
from sensmap.class_model import ClassModels
from sensmap.report import html, pictures, sheets, tables

# Tiles in a row of a grid, if each class has one.
_COLUMNS = 5
# Longer tables are folded up.
_LONG = 12

_TABLE = (
    tables.Column("Class", lambda row: f"{row['name']} ({row['class_id']})", is_number=False),
    tables.Column("Objective", lambda row: row["objective"], is_number=False),
    tables.Column("Score", lambda row: tables.number(row["score"])),
    tables.Column("Next best class", lambda row: row["rival"], is_number=False),
    tables.Column("Its score", lambda row: tables.number(row["rival_score"])),
    tables.Column("Posterior", lambda row: tables.number(row["posterior"], 3)),
    tables.Column("Rank", lambda row: tables.number(row["rank"], 0)),
)

_SUMMARY = (
    tables.Column("Objective", lambda row: row["objective"], is_number=False),
    tables.Column("On top", lambda row: f"{row['on_top']} of {row['classes']}"),
    tables.Column("Median posterior", lambda row: tables.number(row["posterior"], 3)),
)


def rows(found: Mapping[str, ClassModels], name_of: Callable[[int], str]) -> list[dict]:
    """What the classifier says of each image; for each class in turn, its objectives.

    Returns:
        One dictionary an image; JSON can hold it. ``score`` and ``posterior`` are those of the
        image's own class, ``rival`` is the best of the other classes, ``rank`` is 1 if the own
        class is above all others, ``file`` is what `write` calls the picture.
    """
    found_rows = []
    for objective, place, models in _in_turn(found):
        class_id, rival = int(models.class_ids[place]), int(models.rivals[place])
        name = name_of(class_id)
        found_rows.append(
            {
                "class_id": class_id,
                "name": name,
                "objective": objective,
                "score": float(models.scores[place, class_id]),
                "rival": name_of(rival),
                "rival_score": float(models.scores[place, rival]),
                "posterior": float(models.posteriors[place]),
                "rank": int(models.ranks[place]),
                "from_noise": bool(models.from_noise[place]),
                "file": f"{class_id:04d}_{_plain(name)}_{objective}.png",
            }
        )
    return found_rows


def summary(found: Mapping[str, ClassModels]) -> list[dict]:
    """How many classes are above all others, and the median posterior, for each objective."""
    return [
        {
            "objective": objective,
            "on_top": int(np.sum(models.ranks == 1)),
            "classes": len(models.ranks),
            "posterior": float(np.median(models.posteriors)),
        }
        for objective, models in found.items()
    ]


def grid(found: Mapping[str, ClassModels], name_of: Callable[[int], str]) -> np.ndarray:
    """All images with their classes' names, like the paper's Figure 1.

    Several objectives' images of a class stand side by side. Where another class has a higher
    score, the caption tells the rank.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    captions = []
    for row in rows(found, name_of):
        rank = [] if row["rank"] == 1 else [f"rank {row['rank']}"]
        objective = [row["objective"]] if len(found) > 1 else []
        captions.append(", ".join([row["name"], *objective, *rank]))
    images = [models.images[place] for _, place, models in _in_turn(found)]
    columns = len(found) * max(1, _COLUMNS // len(found))
    return sheets.grid(images, columns, captions, side=max(224, *images[0].shape[:2]))


def page(found: Mapping[str, ClassModels], name_of: Callable[[int], str], result: Mapping) -> str:
    """The HTML page.

    Args:
        found, name_of: see the module.
        result: ``title``; ``classifier``, what to call it; and, where there is any, ``settings``,
            ``configuration`` and ``versions``.

    Returns:
        A self-contained HTML5 document.
    """
    lead, *_ = summary(found)
    first = html.headline(
        f"{lead['on_top']} of {lead['classes']}",
        f"classes have a higher score than every other class on the image made for them by "
        f"climbing their {lead['objective']}.",
    )
    numbers = html.table(tables.table(rows(found, name_of), _TABLE))
    if len(found) * lead["classes"] > _LONG:
        numbers = html.details("Scores of every image", [numbers])
    sections = [
        html.Section("", [first, html.table(tables.table(summary(found), _SUMMARY))]),
        html.Section("Class models", _gallery(found, name_of)),
        html.Section("Scores", [numbers]),
        html.Section("How they were made", _method(result)),
    ]
    return html.page(result["title"], sections, lead=f"Classifier: {result['classifier']}.")


def write(
    folder: Path, found: Mapping[str, ClassModels], name_of: Callable[[int], str], result: Mapping
) -> str:
    """Writes report.html, result.json, grid.png and one PNG an image.

    Args:
        folder: an empty one.
        found, name_of: see the module.
        result: see `page`; what else it holds goes to result.json, with `rows` and `summary`.

    Returns:
        The table as text for a terminal.
    """
    found_rows = rows(found, name_of)
    for row, (_, place, models) in zip(found_rows, _in_turn(found), strict=True):
        files.write_bytes(folder / row["file"], pictures.encode_png(models.images[place]))
    files.write_bytes(folder / "grid.png", pictures.encode_png(grid(found, name_of)))
    files.write_json(
        folder / "result.json", {**result, "summary": summary(found), "rows": found_rows}
    )
    files.write_text(folder / "report.html", page(found, name_of, result))
    return tables.as_text(tables.table(found_rows, _TABLE))


def _in_turn(found: Mapping[str, ClassModels]) -> list[tuple[str, int, ClassModels]]:
    count = len(next(iter(found.values())).class_ids)
    return [
        (objective, place, models) for place in range(count) for objective, models in found.items()
    ]


def _gallery(
    found: Mapping[str, ClassModels], name_of: Callable[[int], str]
) -> Sequence[html.Block]:
    found_rows, several = rows(found, name_of), len(found) > 1
    figures = []
    for start in range(0, len(found_rows), len(found)):
        of_class = found_rows[start : start + len(found)]
        frames = [
            (
                pictures.encode_jpeg(found[row["objective"]].images[start // len(found)], 90),
                f"{row['name']}, by its {row['objective']}",
            )
            for row in of_class
        ]
        notes = [f"by {row['objective']}: {_standing(row)}" for row in of_class]
        note = "; ".join(notes) if several else _standing(of_class[0])
        figures.append(html.figure(frames, of_class[0]["name"], note))
    text = "P is the softmax posterior of the class."
    if several:
        text = f"From left to right by {', by '.join(found)}. {text}"
    return [html.paragraph(text), html.gallery(figures, wide=several)]


def _standing(row: Mapping) -> str:
    if row["rank"] == 1:
        return f"P {row['posterior']:.2f}"
    return f"rank {row['rank']}, below {row['rival']}"


def _method(result: Mapping) -> list[html.Block]:
    text = html.paragraph(
        "Each image was found by gradient ascent from the mean image on the score of its class, "
        "or on its posterior, less a penalty on the squared distance from the mean image "
        "(Simonyan, Vedaldi and Zisserman 2013, section 2). Score and posterior are those of the "
        "image before it was rounded and cut off at black and white for display."
    )
    return [
        text,
        *(
            html.details(key.capitalize(), [html.as_json(result[key])])
            for key in ("settings", "configuration", "versions")
            if key in result
        ),
    ]


def _plain(name: str) -> str:
    """A name that every file system takes; the class id before it tells classes apart."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
