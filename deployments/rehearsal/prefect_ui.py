"""Uses the Prefect UI in a headless Chromium, as a person would: opens pages, fills forms, presses buttons.

While a browser is open, its thread counts as one with a running event loop. Blocks are saved, and flows are
called, before it is opened or in another process.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from playwright.sync_api import Locator, Page, Response, sync_playwright
from playwright.sync_api import TimeoutError as BrowserTimeoutError

from deployments.rehearsal.processes import ProgramError
from tasks.core.errors import PrerequisiteError

_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
# The sandbox needs privileges that containers lack; the rest keeps Chromium from calling its maker.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_WIDTH, _HEIGHT = 1180, 900
_PATIENCE_MS = 300_000
_ATTEMPTS = 10
_PAUSE_MS = 2_000
_TEXT = "textarea, input"
_CHOSEN = ".p-select-button__value"
_OPTION = ".p-select-option"
_ITEM = ".schema-form-property-array-item"
_DIALOG = ".p-modal__body"

Label = str | int
"""What a person reads at a field or group; of an item of a list its number, from 0 on."""
Resolver = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Gives the definition that a property of a JSON schema refers to, or the property itself."""


def find_chromium() -> Path | None:
    """The Chromium of this machine, if there is one on the PATH."""
    found = (shutil.which(name) for name in _CHROMIUM_NAMES)
    return next((Path(path) for path in found if path), None)


@contextmanager
def open_browser() -> Iterator[Page]:
    """A page of a new browser without a profile.

    Raises:
        PrerequisiteError: There is no Chromium.
    """
    chromium = find_chromium()
    if chromium is None:
        raise PrerequisiteError(
            "open a browser", expected=" or ".join(_CHROMIUM_NAMES), found="none of them on the PATH"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_FLAGS))
        try:
            page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
            page.set_default_timeout(_PATIENCE_MS)
            yield page
        finally:
            browser.close()


class PrefectUi:
    """The pages of one Prefect server.

    Args:
        page: An open browser page.
        url: The server's address.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url

    def open_run_form(self, deployment: UUID) -> "RunForm":
        """From the deployment's page to its form: Run, then Custom run."""
        self.page.goto(f"{self._url}/deployments/deployment/{deployment}")
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_text("Custom run").click()
        form = RunForm(self.page)
        form.submit_button.wait_for()
        return form

    def open_resume_form(self, run: UUID) -> "RunForm":
        """From the page of a suspended flow run to the form that it waits for."""
        self.open_run(run)
        self.page.get_by_role("button", name="Resume", exact=True).click()
        form = RunForm(self.page, _DIALOG)
        form.submit_button.wait_for()
        return form

    def open_run(self, run: UUID) -> None:
        """The page of a flow run, freshly loaded: the graph on it lags behind otherwise."""
        self.page.goto(f"{self._url}/runs/flow-run/{run}", wait_until="networkidle")

    def wait_for_run_state(self, name: str) -> None:
        """Watch the open page of a flow run until the badge at its top says that name.

        The page stops asking the server after an answer that did not come in time; it is loaded again then,
        as a person does who waits too long.
        """
        badge = self.page.locator(".page-heading-flow-run .state-badge", has_text=name)
        _try_again(lambda timeout: badge.wait_for(timeout=timeout), self.page.reload)

    def open_run_artifact(self, key: str) -> None:
        """From the open page of a flow run to one of its artifacts."""
        self.page.get_by_text("Artifacts", exact=True).click()
        self.page.get_by_text(key, exact=True).click()

    def open_artifact(self, artifact: UUID) -> None:
        """The page of one artifact, where a flow run has several of the same key."""
        self.page.goto(f"{self._url}/artifacts/artifact/{artifact}", wait_until="networkidle")

    def picture(self, path: Path, height: int = _HEIGHT) -> None:
        """Write what the window shows, at a height in pixels, as PNG."""
        self.page.set_viewport_size({"width": _WIDTH, "height": height})
        self.page.screenshot(path=path, animations="disabled")
        self.page.set_viewport_size({"width": _WIDTH, "height": _HEIGHT})


class RunForm:
    """The form that Prefect makes of a flow's parameters, or of what a suspended run waits for.

    Fields are found by the labels that people read.
    A field is named by its own label after those of the groups that it stands in. An item of a list has none,
    and is named by its number.

    Args:
        page: The open page.
        place: CSS selector of what the fields stand in.
    """

    def __init__(self, page: Page, place: str = "form") -> None:
        self.page = page
        self._place = place
        self.submit_button = page.get_by_role("button", name="Submit")

    def field(self, *labels: Label) -> Locator:
        """A field, or a group of fields."""
        found = self.page.locator(self._place)
        for label in labels:
            if isinstance(label, int):
                found = found.locator(_ITEM).nth(label)
            else:
                found = found.locator(f"xpath=.//{_property_with_label(label)}").first
        return found

    def value(self, *labels: Label) -> str:
        """What a text field or a list to choose from shows."""
        field = self.field(*labels)
        chosen = field.locator(_CHOSEN)
        return chosen.inner_text() if chosen.count() else field.locator(_TEXT).input_value()

    def choices(self, *labels: Label) -> list[str]:
        """What a list offers."""
        self._open_list(*labels)
        offered = [option.strip() for option in self.page.locator(_OPTION).all_inner_texts()]
        self.page.keyboard.press("Escape")
        return offered

    def choose(self, value: str, *labels: Label) -> None:
        """Choose from a list."""
        self._open_list(*labels)
        self.page.locator(_OPTION).get_by_text(value, exact=True).click()

    def write(self, value: str, *labels: Label) -> None:
        """Type into a text field."""
        self.field(*labels).locator(_TEXT).fill(value)

    def add_items(self, values: Iterable[str], *labels: Label) -> None:
        """Add items to a list of texts."""
        field = self.field(*labels)
        for value in values:
            field.get_by_role("button", name="Add item").click()
            field.locator(_TEXT).last.fill(value)

    def fill(self, schema: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        """Enter parameters into the fields that the deployment's JSON schema gives labels to."""
        self._fill_group((), schema, resolver(schema), parameters)

    def submit_refused(self, message: str, *labels: Label) -> None:
        """Press Submit until a message is shown beside a field, or anywhere without labels.

        A press is lost where it comes before the form has got its definition.
        """
        place = self.field(*labels) if labels else self.page.locator("body")
        shown = place.get_by_text(message).last
        self.submit_button.click()
        _try_again(lambda timeout: shown.wait_for(timeout=timeout), self.submit_button.click)

    def submit(self) -> UUID:
        """Press Submit and open the page of the flow run that this made; returns its id.

        Raises:
            ProgramError: The server refuses, or is too busy every time.
        """
        run = UUID(self._press_submit("/create_flow_run").json()["id"])
        address = urlsplit(self.page.url)
        self.page.goto(f"{address.scheme}://{address.netloc}/runs/flow-run/{run}")
        return run

    def submit_answer(self) -> None:
        """Press Submit in the form of a suspended run, and see that the server takes the answer.

        Raises:
            ProgramError: The server refuses, or is too busy every time.
        """
        said = self._press_submit("/resume").json()
        if said["status"] != "ACCEPT":
            raise ProgramError("answer in the form", self.page.url, "ACCEPT", str(said))

    def _press_submit(self, path: str) -> Response:
        """A server that is too busy says so, and the form stays: Submit is pressed again."""
        answer = self._press_once(path)
        for _ in range(_ATTEMPTS):
            if answer.ok:
                return answer
            self.page.wait_for_timeout(_PAUSE_MS)
            answer = self._press_once(path)
        raise ProgramError("submit the form", self.page.url, "HTTP 2xx", f"{answer.status} {answer.text()}")

    def _press_once(self, path: str) -> Response:
        # The notice with the button View run is gone after a few seconds, too soon for a busy machine.
        with self.page.expect_response(lambda response: path in response.url) as created:
            self.submit_button.click()
        return created.value

    def _fill_group(
        self,
        labels: tuple[Label, ...],
        group: Mapping[str, Any],
        resolve: Resolver,
        values: Mapping[str, Any],
    ) -> None:
        for name, value in values.items():
            declared = group["properties"][name]
            target = resolve(declared)
            path = (*labels, str(declared.get("title") or target["title"]))
            if "properties" in target:
                self._fill_group(path, target, resolve, value)
            elif "enum" in target:
                self.choose(value, *path)
            elif target["type"] == "array":
                self._fill_list(path, resolve(target["items"]), resolve, value)
            else:
                self.write(str(value), *path)

    def _fill_list(
        self,
        labels: tuple[Label, ...],
        item: Mapping[str, Any],
        resolve: Resolver,
        values: Sequence[Any],
    ) -> None:
        if "properties" not in item:
            self.add_items(values, *labels)
            return
        for place, value in enumerate(values):
            # The last one: an item may hold a list with a button of its own.
            self.field(*labels).get_by_role("button", name="Add item").last.click()
            self._fill_group((*labels, place), item, resolve, value)

    def _open_list(self, *labels: Label) -> None:
        # By keyboard: the list opens on focus already, and a click closes it again.
        self.field(*labels).locator(".p-select-button__control").press("Space")
        self.page.locator(_OPTION).first.wait_for()


def _try_again(attempt: Callable[[int], object], otherwise: Callable[[], object]) -> None:
    for _ in range(_ATTEMPTS - 1):
        try:
            attempt(_PATIENCE_MS // _ATTEMPTS)
        except BrowserTimeoutError:
            otherwise()
        else:
            return
    attempt(_PATIENCE_MS // _ATTEMPTS)


def resolver(schema: Mapping[str, Any]) -> Resolver:
    """Looks up what the properties of a JSON schema refer to."""

    def resolve(declared: Mapping[str, Any]) -> Mapping[str, Any]:
        reference = declared.get("$ref")
        if reference is None:
            return declared
        found: Mapping[str, Any] = schema["definitions"][str(reference).rsplit("/", 1)[-1]]
        return found

    return resolve


def _property_with_label(label: str) -> str:
    shown = f"normalize-space()='{label}' or normalize-space()='{label} (Optional)'"
    return (
        f"div[{_class('schema-form-property')}]"
        f"[./div[{_class('p-label__header')}]//span[{_class('schema-form-property__label')}][{shown}]]"
    )


def _class(name: str) -> str:
    return f"contains(concat(' ', @class, ' '), ' {name} ')"
