"""The requester's answer to a question, by its page."""

import re
from typing import Any

from fastapi import FastAPI

from tests.journeys import accepted, ok, reported, upload
from tests.portal.browsing import hidden, shown, visitor
from tests.system import System, photo


async def asked(system: System, text: str = "Depuis quand la lésion saigne-t-elle?") -> tuple[str, str]:
    """An accepted request with an open question; the ids of both."""
    request_id = await accepted(system)
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": text}))
    questions = (await system.requester.view(request_id))["questions"]
    return request_id, str(questions[0]["id"])


async def written(http: Any, request_id: str, question_id: str, **more: Any) -> dict[str, Any]:
    page = await http.get(f"/requests/{request_id}/answer?question={question_id}")
    return {**hidden(page), "question_id": question_id, "text": "Depuis trois semaines.", **more}


async def test_an_answer_goes_with_new_photos_only_and_once(portal_app: FastAPI, system: System) -> None:
    request_id, question_id = await asked(system)
    in_the_form = (await system.requester.view(request_id))["attachments"][0]["id"]
    async with visitor(portal_app, system.requester) as http:
        address = f"/requests/{request_id}/answer"
        sent = await http.post(
            f"/requests/{request_id}/attachments",
            data={"key": "k", "slot": "", "next": f"{address}?question={question_id}"},
            files=[("file", (f"{n}.jpg", photo((640 + n, 480)), "image/jpeg")) for n in range(2)],
        )
        assert sent.headers["location"] == f"{address}?question={question_id}&done=uploaded"
        page = await http.get(sent.headers["location"])
        text = shown(page)
        assert "Depuis quand la lésion saigne-t-elle?" in text
        assert "Réponse attendue d’ici le" in text
        new = [a["id"] for a in (await system.requester.view(request_id))["attachments"]][-2:]
        assert all(f'value="{id_}" checked' in page.text for id_ in new)
        assert in_the_form not in page.text
        said = {f"caption.{new[0]}": "Dos", f"view.{new[0]}": "close_up", f"caption.{new[1]}": "Bras"}
        form = await written(http, request_id, question_id, attachment_ids=new[:1], **said)
        for _ in range(2):
            answer = await http.post(address, data=form)
            assert answer.headers["location"] == f"/requests/{request_id}?done=answer_information"
    question = (await system.requester.view(request_id))["questions"][0]
    assert (question["answer"], question["attachment_ids"]) == ("Depuis trois semaines.", new[:1])
    async with visitor(portal_app, system.provider) as http:
        page = await http.get(f"/requests/{request_id}")
        assert "Depuis trois semaines." in shown(page)
        assert f'data-tile="{new[0]}"' in page.text
        assert "photo 1 de 1 – Vue rapprochée – Dos" in page.text
        assert new[1] not in page.text


async def test_an_empty_answer_is_refused_and_the_choice_of_photos_kept(portal_app: FastAPI, system: System) -> None:
    request_id, question_id = await asked(system)
    for number in range(2):
        ok(await upload(system.requester, request_id, photo((640 + number, 480)), "photos"), 201)
    new = [a["id"] for a in (await system.requester.view(request_id))["attachments"]][-2:]
    async with visitor(portal_app, system.requester) as http:
        form = await written(
            http, request_id, question_id, text=" ", attachment_ids=new[:1], **{f"caption.{new[0]}": "Dos"}
        )
        page = await http.post(f"/requests/{request_id}/answer", data=form)
        assert "Ce champ est requis." in shown(page, 422)
        assert f'value="{new[0]}" checked' in page.text
        assert f'name="caption.{new[0]}" id="caption-{new[0]}" value="Dos"' in page.text
        assert f'value="{new[1]}"' in page.text
        assert f'value="{new[1]}" checked' not in page.text


async def test_a_question_that_is_withdrawn_meanwhile_says_so_and_keeps_the_text(
    portal_app: FastAPI, system: System
) -> None:
    request_id, question_id = await asked(system)
    async with visitor(portal_app, system.requester) as http:
        form = await written(http, request_id, question_id, text="Un texte qui a pris du temps.")
        ok(await system.provider.post(f"/requests/{request_id}/withdraw-information-request"))
        text = shown(await http.post(f"/requests/{request_id}/answer", data=form), 409)
        assert "Aucune question n’est encore ouverte" in text
        assert "Un texte qui a pris du temps." in text


async def test_a_change_meanwhile_keeps_the_text_and_a_second_press_sends_it(
    portal_app: FastAPI, system: System
) -> None:
    request_id, question_id = await asked(system)
    async with visitor(portal_app, system.requester) as http:
        form = await written(http, request_id, question_id)
        ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Et la température?"}))
        page = await http.post(f"/requests/{request_id}/answer", data=form)
        assert "Depuis trois semaines." in shown(page, 412)
        answer = await http.post(f"/requests/{request_id}/answer", data={**form, **hidden(page)})
        assert answer.status_code == 303
        assert "Et la température?" in shown(await http.get(f"/requests/{request_id}/answer"))


async def test_only_the_requester_answers(portal_app: FastAPI, system: System) -> None:
    request_id, question_id = await asked(system)
    for who, status in (("provider", 403), ("far_requester", 404)):
        async with visitor(portal_app, system.people[who]) as http:
            assert (await http.get(f"/requests/{request_id}/answer")).status_code == status
            form = {"key": "k", "version": "", "question_id": question_id, "text": "Moi aussi."}
            assert (await http.post(f"/requests/{request_id}/answer", data=form)).status_code == status


async def test_the_requester_adds_without_being_asked(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    address = f"/requests/{request_id}/add-information"
    sent = ok(await upload(system.requester, request_id, photo((500, 300))), 201)["id"]
    async with visitor(portal_app, system.requester) as http:
        assert address in (await http.get(f"/requests/{request_id}")).text
        page = await http.get(address)
        assert f'value="{sent}" checked' in page.text
        key = {"key": re.findall(r'name="key" value="([^"]*)"', page.text)[0]}
        answer = await http.post(address, data={**key, "text": "  ", "worse": "yes"})
        shown(answer, 422)
        assert 'href="#field-text"' in answer.text
        assert 'name="worse" value="yes" checked' in answer.text
        said = {**key, "text": "La lésion saigne.", "worse": "yes", "attachment_ids": [sent]}
        for _ in range(2):  # a double click
            answer = await http.post(address, data=said)
            assert answer.headers["location"] == f"/requests/{request_id}?done=add_information"
    async with visitor(portal_app, system.provider) as http:
        page = await http.get(f"/requests/{request_id}")
        text = shown(page)
        assert "Une aggravation est signalée." in text
        assert text.count("La lésion saigne.") == 1  # among what was added; the history does not say it again
        assert f"/requests/{request_id}/change-priority" in page.text
        assert sent in page.text
        assert (await http.get(address)).status_code == 403
        assert "État aggravé" in shown(await http.get("/worklist"))


async def test_nothing_written_is_lost_where_nothing_can_be_added_any_more(portal_app: FastAPI, system: System) -> None:
    request_id = await reported(system)
    async with visitor(portal_app, system.requester) as http:
        answer = await http.post(f"/requests/{request_id}/add-information", data={"text": "Un mot de plus."})
        assert "Rien ne peut être ajouté maintenant." in shown(answer, 409)
        assert "Un mot de plus." in answer.text
