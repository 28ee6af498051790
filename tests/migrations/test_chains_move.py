"""A chain goes on over the migrations that replaced the function that appends to it, up and down."""

from pathlib import Path

from audit_verifier.verify import verify
from db.embedded import EmbeddedServer
from db.migrate import downgrade, upgrade
from tests.db.audit_exports import KEY, exported, signed, signer_in, verdict
from tests.db.audit_house import found, happened
from tests.db.test_audit_chain import independent_head
from tests.migrations.test_roads_meet import empty

BEFORE = "0034_statistics"


async def test_a_chain_and_its_exports_verify_whichever_function_appended(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with empty(server, "chain_moves") as urls:
        await upgrade(urls, BEFORE)
        house, signer = await found(urls, "house"), signer_in(tmp_path)
        exports = []
        for step in ("old", "new", "old again", "new again"):
            if step == "old again":
                await downgrade(urls, BEFORE)
            elif step != "old":
                await upgrade(urls)
            await house.append(happened("made", title='Ä "x"\n', number=1.5), {"action": "thing.bare"})
            await house.append({"action": "thing.null", "details": None}, role="app_service")
            await house.record_tool_call()
            given = {"occurred_at": "1969-12-31T23:59:59.000001Z", "actor_role": "ADMIN", "request_id": "r"}
            await house.append(happened("imported") | given, happened("own"), role="none")
            await signed(house, signer)
            exports.append(await exported(house, tmp_path / step))
            events = await house.events()
            seq, head = independent_head(events)
            said = await house.verify()
            assert (said["verdict"], said["checked"], said["head_hash"]) == ("OK", seq, head), step
            assert seq == len(events) == 7 * len(exports)
            for number, export in enumerate(exports, 1):
                report = verify(export, [str(KEY.public)])
                assert (report.verdict, report.checked) == ("OK", 7 * number), (step, number)
        assert verdict(exports[-1], signer.notes.path) == ("OK", 0, None)
