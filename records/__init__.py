"""The system of record: the database (models, queries, migrations, the feed of changes) and the document store."""
