"""Lists that do not depend on a customer: similar products, popular ones."""

from fastapi import APIRouter, Request, Response

from oferta.store.release import Suggestion
from oferta_serving.documented import IDS, QUERY, problems
from oferta_serving.parameters import CATEGORY, OFFSET, SEGMENT, N, Query
from oferta_serving.problems import RequestRefused
from oferta_serving.responses import JsonAnswer
from oferta_serving.schemas import PopularAnswer, SimilarAnswer
from oferta_serving.services import Services
from oferta_serving.strict import path_id

_SIMILAR = Query(N)
_POPULAR = Query(N, OFFSET, CATEGORY, SEGMENT)


def add_product_routes(router: APIRouter, services: Services) -> None:
    """Add the routes of this file."""
    lookup, answers, releases = services.lookup, services.answers, services.releases

    @router.get(
        "/v1/products/{product_id:segment}/similar",  # noqa: FAST003 - read raw below
        response_model=SimilarAnswer,
        responses=problems((*IDS, *QUERY, "product.unknown")),
        openapi_extra={"parameters": _SIMILAR.documented("product_id")},
        tags=["products"],
        operation_id="similar",
        summary="Products similar to one",
    )
    async def similar(request: Request) -> Response:
        """Nearest by the model's own measure; everybody's list, flagged, if that cannot be read."""
        product_id = path_id(request.path_params["product_id"])
        wanted = _SIMILAR.read(request.scope["query_string"])
        view = releases.current.live
        product = None if view is None else view.positions.get(product_id)
        if view is None or product is None:
            raise RequestRefused("product.unknown")
        near, trouble = await lookup.similar(view, product)
        suggestions = [
            Suggestion(one.product, one.score, "similar_product", product) for one in near
        ]
        return JsonAnswer(answers.similar(view, product, suggestions, wanted, trouble=trouble))

    @router.get(
        "/v1/popular",
        response_model=PopularAnswer,
        responses=problems(
            (
                *QUERY,
                "category.invalid",
                "category.unknown",
                "segment.invalid",
                "segment.unknown",
            )
        ),
        openapi_extra={"parameters": _POPULAR.documented()},
        tags=["products"],
        operation_id="popular",
        summary="What everybody, or a segment, wants most",
    )
    async def popular(request: Request) -> Response:
        """From memory: answered at full speed whatever Redis does."""
        wanted = _POPULAR.read(request.scope["query_string"])
        return JsonAnswer(answers.popular(releases.current.live, wanted))
