"""Searches look among what the clinic of whoever searches may see: words of patients and names of parties, for each clinic.

Writes the table of words anew: about a minute for 100,000 requests.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0014"
branch_labels = None
depends_on = None

EVERY_CLINIC = "00000000-0000-0000-0000-000000000000"

ONE_SIGN = {"'": "’‘‛ʼʻʹˀʾʿ′`´ꞌʔ＇", ":": "꞉ːˑ：", "-": "‐‑‒–—−᐀－"}
SPELLED_OUT = {
    **{"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"},
    **{"ȣ": "ou", "ŋ": "ng", "ħ": "h", "ŧ": "t", "ə": "e", "ɬ": "l"},
}


NAMES = {"accounts": "given_name || ' ' || family_name", "clinics": "name"}
SHARE = f"""
    CREATE FUNCTION share_patient_words(shared uuid) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM patient_words AS w USING requests AS r
        WHERE w.request_id = shared AND r.id = shared AND w.clinic_id <> r.requester_clinic_id;
        INSERT INTO patient_words (clinic_id, hash, request_id, written, submitted)
        SELECT c.clinic_id, w.hash, w.request_id, false, true
        FROM requests AS r
        CROSS JOIN LATERAL (
            SELECT DISTINCT clinic_id FROM request_parties
            WHERE request_id = shared AND clinic_id NOT IN (r.requester_clinic_id, '{EVERY_CLINIC}')
        ) AS c
        JOIN patient_words AS w ON w.clinic_id = r.requester_clinic_id AND w.request_id = shared AND w.submitted
        WHERE r.id = shared;
    END
    $$
"""  # noqa: S608
OF_REQUEST = f"""
    CREATE FUNCTION note_parties_of_request() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        parties uuid[] := array_remove(ARRAY[NEW.requester_id, NEW.holder_id, NEW.requester_clinic_id,
                                             NEW.dispatch_clinic_id, NEW.holder_clinic_id], NULL);
        clinics uuid[] := array_remove(ARRAY['{EVERY_CLINIC}', NEW.requester_clinic_id, NEW.dispatch_clinic_id,
                                             NEW.holder_clinic_id], NULL);
        before uuid[] := ARRAY(SELECT DISTINCT clinic_id FROM request_parties WHERE request_id = NEW.id);
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            DELETE FROM request_parties WHERE request_id = NEW.id AND party_id <> ALL (parties);
        END IF;
        INSERT INTO request_parties (clinic_id, party_id, request_id)
        SELECT DISTINCT clinic, party, NEW.id FROM unnest(clinics || before) AS clinic, unnest(parties) AS party
        ON CONFLICT DO NOTHING;
        IF TG_OP = 'UPDATE' AND NOT clinics <@ before THEN
            PERFORM share_patient_words(NEW.id);
        END IF;
        RETURN NULL;
    END $$
"""  # noqa: S608
OF_PARTICIPANT = """
    CREATE FUNCTION note_clinic_of_participant() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO request_parties (clinic_id, party_id, request_id)
        SELECT DISTINCT a.clinic_id, p.party_id, p.request_id
        FROM accounts AS a JOIN request_parties AS p ON p.request_id = NEW.request_id
        WHERE a.id = NEW.account_id AND NOT EXISTS (
            SELECT FROM request_parties AS o WHERE o.request_id = NEW.request_id AND o.clinic_id = a.clinic_id
        );
        IF FOUND THEN
            PERFORM share_patient_words(NEW.request_id);
        END IF;
        RETURN NULL;
    END $$
"""
FOLLOWED = ["holder_id", "requester_clinic_id", "dispatch_clinic_id", "holder_clinic_id"]

PARTIES = f"""
    INSERT INTO request_parties (clinic_id, party_id, request_id)
    SELECT DISTINCT c.clinic_id, p.party_id, r.id
    FROM requests AS r
    CROSS JOIN LATERAL (
        SELECT clinic_id FROM (VALUES (uuid '{EVERY_CLINIC}'), (r.requester_clinic_id), (r.dispatch_clinic_id),
                                      (r.holder_clinic_id)) AS v (clinic_id)
        UNION
        SELECT a.clinic_id FROM request_participants AS t JOIN accounts AS a ON a.id = t.account_id WHERE t.request_id = r.id
    ) AS c
    CROSS JOIN LATERAL (VALUES (r.requester_id), (r.holder_id), (r.requester_clinic_id), (r.dispatch_clinic_id),
                               (r.holder_clinic_id)) AS p (party_id)
    WHERE c.clinic_id IS NOT NULL AND p.party_id IS NOT NULL
    ORDER BY 1, 2, 3
"""  # noqa: S608
WORDS = f"""
    INSERT INTO patient_words (clinic_id, hash, request_id, written, submitted)
    SELECT c.clinic_id, w.hash, w.request_id, w.written AND c.is_own, w.submitted
    FROM (
        SELECT DISTINCT p.request_id, p.clinic_id, p.clinic_id = r.requester_clinic_id AS is_own
        FROM request_parties AS p JOIN requests AS r ON r.id = p.request_id WHERE p.clinic_id <> '{EVERY_CLINIC}'
    ) AS c
    JOIN former_patient_words AS w ON w.request_id = c.request_id AND (c.is_own OR w.submitted)
    ORDER BY 1, 2, 3
"""  # noqa: S608


def upgrade() -> None:
    op.execute(_words_of_names())
    for table, name in NAMES.items():
        computed = sa.Computed(f"plain_words({name})", persisted=True)
        op.add_column(table, sa.Column("plain_name", sa.Text(), computed, nullable=False))
    op.create_table(
        "request_parties",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
    )
    op.execute(PARTIES)
    op.create_primary_key("pk_request_parties", "request_parties", ["clinic_id", "party_id", "request_id"])
    op.create_index("ix_request_parties_request", "request_parties", ["request_id"])
    op.create_foreign_key(
        "fk_request_parties_request_id", "request_parties", "requests", ["request_id"], ["id"], ondelete="CASCADE"
    )
    op.execute("ANALYZE request_parties")
    _write_words_anew(WORDS, ["clinic_id", "hash", "request_id"])
    for function in (SHARE, OF_REQUEST, OF_PARTICIPANT):
        op.execute(function)
    before, after = (", ".join(f"{row}.{name}" for name in FOLLOWED) for row in ("OLD", "NEW"))
    op.execute(
        "CREATE TRIGGER note_first_parties AFTER INSERT ON requests FOR EACH ROW EXECUTE FUNCTION note_parties_of_request()"
    )
    op.execute(
        "CREATE TRIGGER note_parties AFTER UPDATE ON requests FOR EACH ROW "
        f"WHEN (({before}) IS DISTINCT FROM ({after})) EXECUTE FUNCTION note_parties_of_request()"
    )
    op.execute(
        "CREATE TRIGGER note_clinic AFTER INSERT ON request_participants "
        "FOR EACH ROW EXECUTE FUNCTION note_clinic_of_participant()"
    )


def _words_of_names() -> str:
    """The words of a name, small and without accents, each between spaces; what apostrophes and colons join, also as one."""
    plain = f"translate(lower(name), '{''.join(ONE_SIGN.values())}', '{_quoted()}')"
    for letter, letters in SPELLED_OUT.items():  # also the capital: not every database makes it small
        plain = f"replace(replace({plain}, '{letter.upper()}', '{letters}'), '{letter}', '{letters}')"
    return f"""
        CREATE FUNCTION plain_words(name text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
        DECLARE
            plain text := lower(regexp_replace(normalize({plain}, NFKD), '[\u0300-\u036f]', '', 'g'));
        BEGIN
            plain := ' ' || plain || ' ' || regexp_replace(plain, '['':]', '', 'g') || ' ';
            RETURN regexp_replace(plain, '[-''.:,()/]', ' ', 'g');
        END $$
    """


def _quoted() -> str:
    return "".join(sign * len(signs) for sign, signs in ONE_SIGN.items()).replace("'", "''")


def _write_words_anew(filling: str, key: list[str]) -> None:
    op.execute("ALTER TABLE patient_words RENAME TO former_patient_words")
    for name in ("pk_patient_words", "fk_patient_words_request_id"):
        op.execute(f"ALTER TABLE former_patient_words DROP CONSTRAINT {name}")
    op.create_table(
        "patient_words",
        *(sa.Column(name, sa.BigInteger() if name == "hash" else sa.Uuid(), nullable=False) for name in key),
        sa.Column("written", sa.Boolean(), nullable=False),
        sa.Column("submitted", sa.Boolean(), nullable=False),
    )
    op.execute(filling)
    op.drop_table("former_patient_words")
    op.create_primary_key("pk_patient_words", "patient_words", key)
    op.create_index("ix_patient_words_request", "patient_words", ["request_id"])
    op.create_foreign_key("fk_patient_words_request_id", "patient_words", "requests", ["request_id"], ["id"])
    op.execute("ANALYZE patient_words")


def downgrade() -> None:
    op.execute("DROP TRIGGER note_clinic ON request_participants")
    op.execute("DROP TRIGGER note_parties ON requests")
    op.execute("DROP TRIGGER note_first_parties ON requests")
    for function in ("note_clinic_of_participant", "note_parties_of_request", "share_patient_words"):
        op.execute(f"DROP FUNCTION {function}")
    _write_words_anew(
        "INSERT INTO patient_words (hash, request_id, written, submitted) "
        "SELECT hash, request_id, bool_or(written), bool_or(submitted) FROM former_patient_words GROUP BY 1, 2",
        ["hash", "request_id"],
    )
    op.drop_table("request_parties")
    for table in NAMES:
        op.drop_column(table, "plain_name")
    op.execute("DROP FUNCTION plain_words")
