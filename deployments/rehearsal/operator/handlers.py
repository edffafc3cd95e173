"""Which handler answers which path of the webhook server."""

import sys
from collections.abc import Callable, Mapping

from deployments.rehearsal.operator.admission import Request, Verdict
from deployments.rehearsal.operator.api import ApiReader, ApiUnavailableError
from deployments.rehearsal.operator.injection import inject
from deployments.rehearsal.operator.kinds import INJECTOR_PATH, MESH_KINDS
from deployments.rehearsal.operator.validation import KIND_RULES, judge

Handler = Callable[[Request], Verdict]


def handlers(api: ApiReader | None) -> Mapping[str, Handler]:
    """The nine validators and the injector by path; the bundle's two inert paths have none, as in OSOK."""

    def service_exists(namespace: str, name: str) -> bool:
        return api is None or api.read(f"/api/v1/namespaces/{namespace}/services/{name}") is not None

    def validator(kind: str) -> Handler:
        return lambda request: judge(KIND_RULES[kind], request, service_exists)

    found: dict[str, Handler] = {kind.path: validator(kind.kind) for kind in MESH_KINDS}
    found[INJECTOR_PATH] = lambda request: inject(request, api.read if api else None)
    return {path: _guarded(handler) for path, handler in found.items()}


def _guarded(handler: Handler) -> Handler:
    def decide(request: Request) -> Verdict:
        try:
            return handler(request)
        except ApiUnavailableError as error:
            return Verdict(denial=str(error), code=500)
        except (AttributeError, KeyError, TypeError) as error:
            # The object passed the CRD's schema but not our reading of it: refuse it like an undecodable one.
            sys.stderr.write(f"could not read the object: {type(error).__name__}: {error}\n")
            return Verdict(denial="the object cannot be decoded", code=400)

    return decide
