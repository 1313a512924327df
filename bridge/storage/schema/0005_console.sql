-- What people look at: the console and the operator's tools.

PRAGMA user_version = 5;
