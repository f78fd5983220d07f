from tests.support.catalog_fixtures import lake, lakes, sql_lake, sql_lakes

__all__ = ["lake", "lakes", "sql_lake", "sql_lakes"]
