"""Row-level security on the keys of what is sealed: whoever is not the owner of the tables opens what is of one clinic alone."""

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

HOUSE = "00000000-0000-0000-0000-000000000000"

ITS_CLINICS = f"""
    owner_id = '{HOUSE}'
    OR EXISTS (
        SELECT FROM request_parties AS p
        WHERE p.request_id = owner_id AND p.clinic_id = (SELECT acting_clinic())
    )
    OR EXISTS (
        SELECT FROM uploads AS u JOIN request_parties AS p ON p.request_id = u.request_id
        WHERE u.id = owner_id AND p.clinic_id = (SELECT acting_clinic())
    )
    OR EXISTS (
        SELECT FROM partner_messages AS m JOIN accounts AS a ON a.id = m.partner_id
        WHERE m.id = owner_id AND a.clinic_id = (SELECT acting_clinic())
    )
"""  # noqa: S608
"""Whose keys are opened: the house's, and those of requests with which the clinic ever had to do, of files on their way to one,
and of what its own system has sent."""


def upgrade() -> None:
    # the setting is '' in later transactions of a connection in which it was once set
    op.execute(
        """
        CREATE FUNCTION acting_clinic() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
            SELECT nullif(current_setting('relais.clinic', true), '')::uuid
        $$
        """
    )
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    op.execute(
        f"""
        CREATE FUNCTION ring_keys_in_use() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path = {schema}, pg_temp AS $$ SELECT DISTINCT split_part(sealed_key, ':', 1) FROM data_keys $$
        """  # noqa: S608
    )
    op.execute("REVOKE ALL ON FUNCTION ring_keys_in_use() FROM PUBLIC")
    op.execute("ALTER VIEW access_log SET (security_invoker = true)")  # for processes of an older version
    op.execute("ALTER TABLE data_keys ENABLE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY opened_by_its_clinics ON data_keys FOR SELECT USING ({ITS_CLINICS})")
    op.execute(f"CREATE POLICY destroyed_by_its_clinics ON data_keys FOR DELETE USING ({ITS_CLINICS})")
    op.execute(
        "CREATE POLICY made_for_a_clinic ON data_keys FOR INSERT WITH CHECK ((SELECT acting_clinic()) IS NOT NULL)"
    )


def downgrade() -> None:
    for policy in ("made_for_a_clinic", "destroyed_by_its_clinics", "opened_by_its_clinics"):
        op.execute(f"DROP POLICY {policy} ON data_keys")
    op.execute("ALTER TABLE data_keys DISABLE ROW LEVEL SECURITY")
    op.execute("ALTER VIEW access_log RESET (security_invoker)")
    op.execute("DROP FUNCTION ring_keys_in_use()")
    op.execute("DROP FUNCTION acting_clinic()")
