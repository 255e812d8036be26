"""Texts that one uses again."""

from uuid import UUID

from fastapi import APIRouter

from use_cases import snippets
from use_cases.snippets import NewSnippet, SnippetView
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["people"])


@router.get("/me/snippets", summary="My texts, and my clinic's")
async def get_snippets(caller: CallerOf, services: ServicesOf) -> list[SnippetView]:
    """The texts that one has kept, and those of one's clinic, by name."""
    return await snippets.list_snippets(services, caller)


@router.put("/me/snippets", summary="Keep a text")
async def put_snippet(wanted: NewSnippet, caller: CallerOf, services: ServicesOf) -> SnippetView:
    """Keep a text under its name, instead of one that has this name, use and language already; 100 at most.

    A clinic's texts are kept by its administrators.
    """
    return await snippets.save_snippet(services, caller, wanted)


@router.delete("/me/snippets/{snippet_id}", status_code=204, summary="Forget a text")
async def delete_snippet(snippet_id: UUID, caller: CallerOf, services: ServicesOf) -> None:
    """Forget a text of one's own, or of the clinic that one runs."""
    await snippets.remove_snippet(services, caller, snippet_id)
