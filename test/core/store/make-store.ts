import { openDatabase } from "../../../src/core/store/sqlite/database.ts";
import { migrateUp } from "../../../src/core/store/sqlite/migrate.ts";

// Makes the store that argv names, and says so just before it begins.

const [path] = process.argv.slice(2);
if (path !== undefined) {
  const database = openDatabase({ path, synchronous: "FULL", readonly: false });
  process.stdout.write("begun\n");
  migrateUp(database, () => 1);
  database.close();
}
