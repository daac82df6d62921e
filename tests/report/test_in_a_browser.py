"""Pages as a browser shows them: nothing asked of the network, no complaint, room on a phone."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from test_localization_report import _crossed, _cut, _error_row, _guess, _picture, _row
from test_segmentation_anatomy import CONFUSIONS
from test_segmentation_report import RESULT
from test_segmentation_report import _picture as _masks
from test_segmentation_report import _row as _masks_row

from sensmap import analysis, segmentation_analysis
from sensmap._opencv import cv2
from sensmap.masks import voc_palette
from sensmap.report import pictures, segmentation
from sensmap.report.localization import localization_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs the browser Chromium, which is absent here"
)

PHONE, DESK = 360, 1200
HEIGHT = 16000

# A window is never as narrow as a phone; a frame can be. Files inside of the page itself are no
# requests; all else that it asks for would be among the resources.
_FRAME = """<style>body {{margin:0}} iframe {{border:0; width:{width}px; height:{height}px}}</style>
<iframe src="report.html" onload="
  const page = contentDocument, found = {{
    width: page.documentElement.scrollWidth,
    requests: contentWindow.performance.getEntriesByType('resource').length,
    broken: [...page.images].filter(image => !image.naturalWidth).length,
    charts: [...page.querySelectorAll('svg.chart')].filter(chart => {{
      const box = chart.getBoundingClientRect();
      return box.width > 250 && box.height > 150 && box.right <= {width};
    }}).length,
    small: [...page.querySelectorAll('svg.chart text')].filter(
      word => word.getBoundingClientRect().height < 9
    ).length,
  }};
  document.title = Object.entries(found).flat().join(' ');
"></iframe>"""


def _page():
    """One with everything, and names as long as they get."""
    name = "linear regression from the sensitivity maps of a layer with quite a long name/pool1"
    crossed = _crossed(*[(a, b, 5) for a in ("linear", "cut") for b in (name, "gradient")])
    measures = ("max_box_acc", "max_box_acc_v2", "corloc_oracle", "gt_known", "pxap")
    main = _error_row(name) | dict.fromkeys(measures, 50.0)
    noise = np.random.default_rng(0)
    boxes = np.sort(noise.random((300, 2, 2)), axis=1).reshape(-1, 4)
    truths = np.sort(noise.random((300, 2, 2, 2)), axis=2).reshape(300, 2, 4)
    ids = [f"a_name_without_any_break_{number:08}" for number in range(300)]
    hashes = {"dataset": "made", "images": 300, "ids_sha256": "0a" * 32}
    curve = [
        {
            "method": method,
            "boxes_per_class": count,
            "images": 10.0 * images,
            "corloc": 50.0 + images,
            "interval": [45.0, 55.0 + images],
            "repeats": 5,
        }
        for method in (name, "another")
        for count, images in ((1, 1), (5, 5), ("all", 7))
    ]
    result = {
        "title": "a_data_set_with_a_name_that_has_no_break_anywhere_in_it",
        "dataset": "made",
        "rows": [_row("mean box", 20) | {"group": "baseline"}, *crossed, main],
        "analysis": analysis.analyse(boxes, list(truths), ids, noise.random(300) < 0.8),
        "learning_curve": curve,
        "skipped": [{"id": ids[0] * 2, "reason": "no image"}],
        "seconds": {"maps": 12.0, "fit": 3.0},
        "data": hashes,
        "fitted_on": [{**hashes, "what": "fold 1"}],
        "configuration": {"root": "a/path" * 40},
    }
    gray = np.full((30, 40, 3), 128, np.uint8)
    guesses = [_guess("a name of a class that is quite long")] * 5
    shown = [_picture(image=gray)] * 2 + [_picture(image=gray, cut=_cut(), guesses=guesses)]
    worst = {"part": [_picture(image=gray)] * 2, "right": [_picture(image=gray)]}
    # What is folded up must have room, too.
    return localization_report(result, shown, worst).replace("<details>", "<details open>")


def _segmentation_page():
    """The same of a segmentation."""
    name = "a_name_without_any_break_that_is_longer_than_a_phone_is_wide"
    baseline = _masks_row("Background only", 0) | {"group": "baseline"}
    maps = [segmentation.ClassMap(name, np.eye(7), np.eye(7))] * 2
    gray = np.full((30, 40, 3), 128, np.uint8)
    item = _masks(caption=name, image=gray, maps=maps, iou=0.4)
    result = RESULT | {
        "title": name,
        "rows": [baseline, *RESULT["rows"]],
        "analysis": segmentation_analysis.analyse(CONFUSIONS, [name, "b", "c", "d"]),
        "background": {"weight": 0.7, "ellipse": 0.5},
        "skipped": [{"id": name * 2, "reason": "no image"}],
        "seconds": {"CRF": 12.0, "classes, maps and masks": 3.0},
        "data": {"dataset": "made", "images": 4, "ids_sha256": "0a" * 32},
        "configuration": {"root": "a/path" * 40},
    }
    worst = {"small": [item, item], "good": [item]}
    return segmentation.page(result, [item] * 2, worst).replace("<details>", "<details open>")


def _shown(folder, page, width):
    """What a browser finds on a page, what it complains of, and the picture on the screen."""
    (folder / "report.html").write_text(page, encoding="utf-8")
    (folder / "frame.html").write_text(_FRAME.format(width=width, height=HEIGHT))
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--disable-dev-shm-usage", "--enable-logging=stderr", "--log-level=0"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", "--hide-scrollbars", "--allow-file-access-from-files"),
        *(f"--user-data-dir={folder / 'profile'}", f"--window-size={max(width, 500)},{HEIGHT}"),
        *("--dump-dom", f"--screenshot={folder / 'screen.png'}", (folder / "frame.html").as_uri()),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    words = re.search("<title>(.*)</title>", run.stdout).group(1).split()
    found = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    complaints = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    screen = cv2.cvtColor(cv2.imread(str(folder / "screen.png")), cv2.COLOR_BGR2RGB)
    return found, complaints, screen[:, :width]


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_page_has_room_and_needs_nothing(tmp_path, width):
    found, complaints, screen = _shown(tmp_path, _page(), width)
    assert found == {"width": width, "requests": 0, "broken": 0, "charts": 3, "small": 0}
    assert complaints == []
    for colour in (pictures.TRUTH, pictures.PREDICTION):
        # The pictures are shown: lines are in them that no style sheet draws so thick.
        near = abs(screen.astype(int) - colour).max(axis=2) < 25
        assert near.sum() > 500


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_page_of_masks_has_room_and_needs_nothing(tmp_path, width):
    found, complaints, screen = _shown(tmp_path, _segmentation_page(), width)
    assert found == {"width": width, "requests": 0, "broken": 0, "charts": 2, "small": 0}
    assert complaints == []
    # The masks of both classes are shown, over gray.
    for index in (1, 2):
        colour = 0.7 * voc_palette()[index] + 0.3 * 128
        assert (abs(screen - colour).max(axis=2) < 12).sum() > 500


def test_a_browser_would_complain(tmp_path):
    """What the test above looks for can be found."""
    outside = '<img src="https://localhost:9/x.png" style="width:999px;height:9px">'
    page = _page().replace("<main>", f"<main>{outside}")
    found, complaints, _ = _shown(tmp_path, page, PHONE)
    assert found["width"] > PHONE
    assert found["broken"] == 1
    assert "Content Security Policy" in complaints[0]
