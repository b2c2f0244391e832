--
-- What a runbook says
--

-- render() says what {{name}}, {{#name}}, {{?name}} and {{^name}} do.  Besides, a line that ends in a backslash goes on
-- in the next one.  A line that begins with {{#name}}, {{?name}} or {{^name}} and a space needs no end: the tag is for
-- that line.  A line of such tags alone leaves no line, and of empty lines in a row only one is left.
CREATE VIEW documentdb_upgrade_internal.runbook_template (n, title, template) AS VALUES
(0, NULL, $md$
{{#kind.standby}} # Upgrade of extension {{extension}}: this is a standby
{{#kind.not_installed}} # Upgrade of extension {{extension}}: not installed
{{#kind.none}} # Extension {{extension}} at {{from}}: nothing to upgrade
{{#kind.refuse}} # Extension {{extension}} cannot go from {{from}} to {{goal}}{{^goal}}an unknown version{{/^goal}}
{{#kind.schema_ahead}} # Extension {{extension}}: the schema ({{from}}) is ahead of the binary ({{binary_version}})
{{#to_do}}
{{#companions_only}} # Upgrade of the companions of extension {{extension}} at {{from}}
{{^companions_only}} # Upgrade of extension {{extension}} from {{from}} to {{goal}}
{{/#to_do}}

Written {{written_at}} on a {{role}} with PostgreSQL {{server_version}}, database {{database|code}}. It describes this \
server at that moment. Write a new one after each change: `SELECT documentdb_upgrade.runbook({{asked|literal}});`

{{^elsewhere}} This server does not know what is in `<ANGLE_BRACKETS>`: fill it in. Where there are commands for psql \
and for kubectl, both do the same: use those that fit your installation.
{{#kind.standby}}
## What to do

**This server is a standby. Run this on the primary:**

```sql
SELECT documentdb_upgrade.runbook({{asked|literal}});
```

{{#upstream}} This standby streams from {{sender_host|code}}, port {{sender_port}}, which is the primary or leads to it.

The primary commits the schema, and this standby replays it. Here only phase one has to be done: install the new \
binary on this standby **before** the primary gets it.

- {{next_step}}

```sql
SELECT state, next_step FROM documentdb_upgrade.status;
SELECT extension, installed_version, binary_version, loaded_version, gate FROM documentdb_upgrade.versions;
```
{{/#kind.standby}}
{{#kind.not_installed}}
## What to do

**Extension {{extension|code}} is not installed in database {{database|code}}**, so there is no schema to upgrade.

{{#binary_version}} Its files are here and offer {{binary_version}}. A new installation needs no upgrade:
{{^binary_version}} Its files are not on this server either: install its package first.

```sql
CREATE EXTENSION {{extension|ident}} CASCADE;
```

If it is in another database of this server, install documentdb_upgrade there, and write this runbook there. If you \
mean another extension, name it, and open a new session:

```sql
ALTER DATABASE {{database|ident}} SET documentdb_upgrade.extension = '<EXTENSION>';
```
{{/#kind.not_installed}}
$md$),

(1, 'In short', $md$
- **State:** {{state|code}}. {{next_step}}
{{#kind.ready}} - **What is left:** phase two. {{scripts}} scripts run in one transaction; the binary is already here.
{{#kind.none}}
{{#blocked}} - **What is left:** no script has to run; the state says why a companion cannot reach its target.
{{^blocked}} - **What is left:** nothing. This runbook helps you to check the last upgrade, and to prepare the next one.
{{/#kind.none}}
{{#kind.wait}} - **What is left:** both phases. The binary here offers {{binary_version}}; install {{goal}} first \
(section 7), then write a new runbook.
{{#kind.schema_ahead}} - **Do this now:** bring back a binary of {{from}} or later (section 7). An older library may \
write data that the newer schema does not expect.
{{#kind.refuse}} - **What is left:** this target cannot be reached from here. {{reason}}
{{^kind.none}}{{^kind.schema_ahead}}
- **Can it be finalized now:** {{^refusing}}yes, no guard refuses.{{/^refusing}}\
{{?refusing}}no, guards refuse: {{refusing_names|raw}} (section 15 says what to do).{{/?refusing}}
{{/^kind.schema_ahead}}{{/^kind.none}}
{{#failure}} - **Last attempt:** {{outcome}} at {{finished_at|time}}: {{message}}
{{#to_do}} - **Way back:** until phase two has committed, put the old binary back (section 11). After that, only a \
restore helps (section 12).
{{#kind.ready}}
{{^rehearsal}} - **Rehearsed:** no, or not with exactly these files and versions (section 2).
{{#passed}} - **Rehearsed:** yes, rehearsal {{rehearsal.id}} passed in {{rehearsal.ms|duration}}\
{{#rehearsal.scratch}}, in a temporary database without your data{{/#rehearsal.scratch}}.
{{#rehearsal}}
{{^passed}} - **Rehearsed:** yes, but rehearsal {{id}} did not pass (section 15). Do not go on before one passes.
{{/#rehearsal}}
{{/#kind.ready}}
{{#kind.ready}}

**At night, the steps alone**, on the primary:

1. `SELECT documentdb_upgrade.can_finalize({{goal|literal}});` gives `t`; else section 15
2. `SELECT outcome, from_version, to_version FROM documentdb_upgrade.finalize_to({{goal|literal}}, \
{{fingerprint|literal}});` gives `succeeded`; it cannot be undone
3. `SELECT documentdb_upgrade.wait_for({{goal|literal}}, '10 min');` gives `t`
4. `SELECT check_name, detail, hint FROM documentdb_upgrade.post_upgrade_report() WHERE status = 'fail';` gives no row

{{/#kind.ready}}
- **Stop writes:** `SELECT writers FROM documentdb_upgrade.fence_writes('why', '1 min');` refuses them in this \
database until `SELECT documentdb_upgrade.lift_fence();`; roles of `documentdb_upgrade.fence_exempt_roles` can \
still write and finalize
- **Stop everything:** `SELECT documentdb_upgrade.hold('why');` refuses every finalize until \
`SELECT documentdb_upgrade.release();`

| extension | installed | binary | loaded | in force | target |
|---|---|---|---|---|---|
{{#versions}} | {{extension}} | {{installed_version|cell}} | {{binary_version|cell}} | {{loaded_version|cell}} | \
{{gate|cell}} | {{target|cell}} |
$md$),

(2, 'What is new', $md$
{{^steps}}
{{#kind.wait}} The scripts to {{goal}} are not on this server yet, so nothing is known about them. After phase one, \
this section lists them.
{{^kind.wait}} Nothing: there is no script to run.
{{/^steps}}
{{?steps}}
{{#companions_only}} {{scripts}} scripts bring the companions of extension {{extension|code}} to the versions that \
belong to its {{from}}:
{{^companions_only}} {{scripts}} scripts bring extension {{extension|code}} from {{from}} to {{goal}}, companions \
included:

| step | extension | from | to | risk | script |
|---|---|---|---|---|---|
{{#steps}} | {{step}} | {{extension}} | {{from_version}} | {{to_version}} | {{risk}} | {{file|code}} |

{{#passed}}
Rehearsal {{rehearsal.id}} ran exactly these scripts on this server at {{rehearsal.started_at|time}}\
{{#rehearsal.scratch}}, in a temporary database without data{{/#rehearsal.scratch}}. What it saw:

{{#counts.added}} - **New objects:** {{counts.added}}, section 18.
{{^counts.added}} - It adds no object.
{{#counts.changed}} - **Changed objects:** {{counts.changed}}, section 18.
{{^counts.changed}} - It changes no object.
{{#counts.privileges}} - **Privileges change on:** {{counts.privileges}}, section 18.
{{^counts.privileges}} - It changes no privilege of an existing object.

{{?warnings}} ### Warnings of scripts

{{#warnings}} - {{.}}
{{/#passed}}
{{^passed}}
{{#rehearsal}} **Rehearsal {{id}} of exactly this did not pass** (section 15).
{{^rehearsal}} **This was not rehearsed** with exactly these files and versions. Risk and locks are what the text of \
the scripts shows.

A rehearsal runs the real scripts, reports what they add, remove, change, lock and grant, and rolls everything back:

```sql
SELECT id, outcome, risk, message FROM documentdb_upgrade.rehearse({{goal|literal}});
SELECT documentdb_upgrade.rehearsal_report();
```

It takes the real locks for a moment. `scratch => true` as a second argument runs it in a temporary database instead, \
without your data. Then write a new runbook.
{{/^passed}}
{{/?steps}}
$md$),

(3, 'Settings and objects that change or go', $md$
{{^steps}} No setting or object is known to change.
{{?steps}}
{{^passed}} Not known: only a rehearsal shows which objects are removed (section 2). Search your code for what the \
release notes call deprecated.
{{#passed}}
{{#counts.removed}} - **Objects that are removed:** {{counts.removed}}. Section 18 names them: search \
functions, jobs and applications for them **before** phase two.
{{^counts.removed}} - No object is removed.
{{#counts.recreated}} - **Dropped and created again** under the same name, or rewritten: {{counts.recreated}}, \
section 18.

{{?changes.settings}} Settings of roles and databases that change:

{{#changes.settings}} - {{what}} {{kind}} {{identity|code}}
{{^changes.settings}} No setting of a role or a database changes.
{{/#passed}}
{{/?steps}}

### Settings of the library

No script and no catalogue shows which settings a new library adds, changes or no longer has before it runs: read its \
release notes. Write the settings down before phase one; the library must be loaded, which \
`shared_preload_libraries` does:

```bash
psql -p {{port}} -d {{database|shell}} -XAtc \
"SELECT name, boot_val, vartype, context FROM pg_settings WHERE name LIKE '%.%' ORDER BY name" > settings-before.txt
```

After phase one, write them to `settings-after.txt` and compare: a line with `<` alone is a setting that is gone, one \
with `>` alone is new, and both mean another default.

```bash
diff settings-before.txt settings-after.txt
```

{{?settings.own}} The library in memory has {{settings.count}} settings. These do not have their defaults: does the \
new library still have them, and do they mean the same?

{{#settings.own}} - {{name|code}} = {{setting|code}}, default {{boot_val|code}} ({{source}})
{{^settings.own}}
{{#settings.count}} The library in memory has {{settings.count}} settings, and all have their defaults.
{{^settings.count}} This session sees no setting of the library.
{{/^settings.own}}

{{?settings.unknown}} These are set for roles or databases, and the library in memory does not know them. They are \
misspelt, or belong to another version:

{{#settings.unknown}} - {{name|code}} for {{place}}

Those in files are shown, to superusers, by `SELECT sourcefile, sourceline, name, error FROM pg_file_settings WHERE \
error IS NOT NULL;` after a reload, and by warnings in the server's log at its start.
$md$),

(4, 'Difficulty and duration', $md$
{{^steps}}
{{#kind.none}} There is nothing to do.
{{^kind.none}} Not known before the scripts are here.

{{/^steps}}
{{?steps}}
{{#risk_is.functions_only}} - **Difficulty:** easy. Only functions change.
{{#risk_is.catalogue}} - **Difficulty:** easy. Objects are added or changed, no data are touched.
{{#risk_is.privileges}} - **Difficulty:** moderate. Privileges change: test with the roles of your applications.
{{#risk_is.data_tables}} - **Difficulty:** demanding. Tables in use are locked, rewritten, dropped or written to: \
choose a time with little load.
{{#risk_is.cluster-wide}} - **Difficulty:** demanding. Roles or other things that all databases share change.
{{#risk_is.unknown}} - **Difficulty:** not known. Rehearse before you plan anything.
- **Heaviest risk class:** {{risk}}, {{#passed}}as rehearsed.{{/#passed}}{{^passed}}as far as the text of the scripts \
shows.{{/^passed}}
{{#passed}}
- **Expected duration:** about {{rehearsed_ms|duration}} for all steps, as rehearsed{{#rehearsal.scratch}} without \
data: yours will take longer{{/#rehearsal.scratch}}; the whole rehearsal took {{rehearsal.ms|duration}}.
- **Needs:** {{rehearsal.lock_entries}} entries of the lock table, {{rehearsal.wal_bytes|size}} of WAL.
{{/#passed}}
{{^passed}} - **Expected duration:** not known without a rehearsal.
{{#way}} - **Way:** {{strategy}}, risk {{risk}}. {{evidence}}
- **Limits:** all lock waits together {{lock_timeout}}, the whole attempt {{attempt_timeout}}; when one of them is \
exceeded, everything is rolled back.
{{?locks}} - **Locked against others until the commit:**
{{#locks}}   - {{relation|code}}{{#mode}} in {{mode}}{{/#mode}}{{#bytes}} ({{bytes|size}}){{/#bytes}}
{{^locks}} - **Locked against others:** nothing that is known.
{{/?steps}}
{{#earlier}} - **Longest of {{count}} earlier upgrade(s) here:** {{longest|duration}}.
{{?to_do}}

| | in place (sections 7 and 8) | blue-green (end of section 8) |
|---|---|---|
| needs | this server | a second one of the same size, with the data moved there |
| clients are away | while the primary restarts, and while phase two holds its locks | from the fence until they \
connect to the new server |
| way back | until phase two has committed | until applications write to the new server |
| proof | a rehearsal before, post-checks within | every row compared |
{{/?to_do}}
$md$),

(5, 'Prerequisites', $md$
As they were when this was written; `SELECT * FROM documentdb_upgrade.preflight({{wanted|literal}});` checks again. \
FAIL prevents the upgrade, WARN does not.

{{#guards}}
- {{#mark}}**{{mark}}**{{/#mark}}{{^mark}}{{status}}{{/^mark}} {{guard|code}}{{#hard}} (hard){{/#hard}}: {{detail}}
{{#advice}}   - To do: {{advice}}
{{/#guards}}

### Health of the server

{{?health}} What `SELECT * FROM documentdb_upgrade.pre_upgrade_report();` warns about:

{{#health}}
- **{{mark}}** {{check_name|code}}: {{detail}}
{{#hint}}   - To do: {{hint}}
{{/#health}}
{{^health}} `SELECT * FROM documentdb_upgrade.pre_upgrade_report();` warns of nothing but the guards above.

{{?manual}}
### What a database cannot see

Run each, and compare; these are the rows `manual` of the report:

```bash
{{#manual}}
# {{check_name|raw}}: {{detail|raw}}
{{hint|raw}}
{{/#manual}}
```

{{/?manual}}
### Which versions go together

{{#is_documentdb}}
What the matrix (table `documentdb_upgrade.compatibility`) says of {{goal}}, PostgreSQL {{server_version}} and the \
other components{{#release}} of release {{revision}}{{/#release}}{{^release}}, of which no release is recorded \
here{{/^release}}:

{{?pairs}}
| component | version | with | version | status | what is known |
|---|---|---|---|---|---|
{{#pairs}} | {{component}} | {{version|cell}} | {{other}} | {{other_version|cell}} | {{status}} | {{detail|cell}} |

{{/?pairs}}
{{#unknown_pairs}} The matrix knows nothing about {{unknown_pairs}} other pairs: nobody has published whether they work.

Ask again with the versions that you are going to deploy: \
`SELECT * FROM documentdb_upgrade.check_compatibility('{"operator": "1.0.0", "extension": "1.0.0"}');`
{{/#is_documentdb}}
{{^is_documentdb}} The matrix of this extension is about DocumentDB and what belongs to it. Look in the release notes \
of extension {{extension|code}} for the versions of PostgreSQL and of other extensions that {{goal}} works with.

### Whom to tell

- before phase one: who is on call, and who owns the applications below; their connections end once, when the primary \
restarts
- before phase two: the same, and that there is no way back afterwards{{#counts.removed}}; who uses the objects of \
section 18 that are removed{{/#counts.removed}}{{#counts.privileges}}; who administers the roles whose privileges \
change{{/#counts.privileges}}
- afterwards: all of them, and who watches for 24 hours (section 13)

{{?clients}}
Connected to this database when this was written:

| role | application | sessions |
|---|---|---|
{{#clients}} | {{role|cell}} | {{application|cell}} | {{sessions}} |
{{/?clients}}
{{^clients}} No application was connected to this database when this was written.
$md$),

(6, 'Backup', $md$
{{#backup}} The newest backup on record is "{{label}}", finished {{finished_at|time}}.
{{^backup}} **No backup was ever recorded here.** After phase two a restore is the only way back.

{{#archived}} WAL is archived: a backup can be restored to the restore point that the upgrade writes, if the archive \
is complete. Look at `SELECT * FROM pg_stat_archiver;` first.
{{^archived}} WAL is not archived here (`archive_mode` is off): a backup can be restored only to its own end, not to \
the restore point that the upgrade writes. Stop writes before you take it (`fence_writes()`, \
section 1), or set up archiving first.

On a server without Kubernetes:

```bash
pg_basebackup -h <HOST> -p {{port}} -U <REPLICATION_ROLE> -D <BACKUP_DIRECTORY> -X stream -c fast -P \
-l {{backup_label|shell}}
pg_verifybackup <BACKUP_DIRECTORY>
```

With CloudNativePG:

```bash
kubectl apply -f - <<'EOF'
apiVersion: postgresql.cnpg.io/v1
kind: Backup
metadata:
  name: {{backup_name}}
  namespace: {{namespace|raw}}
spec:
  cluster:
    name: {{cluster|raw}}
EOF
kubectl -n {{namespace|raw}} wait --for=jsonpath='{.status.phase}'=completed \
backups.postgresql.cnpg.io/{{backup_name}} --timeout=2h
```

Where the class of the volumes has snapshots, `method: volumeSnapshot` under `spec` makes one instead, which is \
quicker to restore.

Keep what the cluster is made of, too; the last file holds secrets:

```bash
helm get values <RELEASE> -n <OPERATOR_NAMESPACE> --all > values-before.yaml
kubectl -n {{namespace|raw}} get dbs {{resource|raw}} -o yaml > resource-before.yaml
kubectl -n {{namespace|raw}} get configmaps,secrets -o yaml > configuration-before.yaml
```

Record the backup when it has finished, and not before; guard `backup_recent` measures its age from then:

```sql
SELECT documentdb_upgrade.record_backup({{backup_label|literal}}, now());
```

Restore the backup in another place once: only then do you know that it can be restored.
$md$),

(7, 'Phase one: the binary', $md$
{{#kind.ready}} **Done on this server:** its files offer {{binary_version}}{{#loaded_version}}, and the library in \
memory says {{loaded_version}}{{/#loaded_version}}. The standbys must have followed.
{{#kind.none}} **Nothing to install now.** This server offers {{binary_version}}. The next release is installed like \
this:
{{#kind.schema_ahead}} **Do this now.** The schema is at {{from}} and the binary of this server offers \
{{binary_version}}. Put a binary of {{from}} or later back, on every instance:
{{#kind.refuse}} **Do not change the binary for this target:** {{reason}}
{{#kind.wait}} **To be done:** this server offers {{binary_version}}{{^binary_version}}nothing{{/^binary_version}}, \
you want {{goal}}. Upgrade the standbys first, then switch over or restart the primary. The schema does not change.

{{^kind.ready}}{{^kind.refuse}}
On a server without Kubernetes, on each standby and then on the primary:

```bash
apt-get install <PACKAGE>=<PACKAGE_VERSION>
pg_ctl restart -D <DATA_DIRECTORY> -m fast
```

With the DocumentDB operator (an image in `spec.image.documentDB` takes precedence over `documentDBVersion`; name \
images by tag, because a digest hides the version):

```bash
kubectl -n {{namespace|raw}} patch dbs {{resource|raw}} --type=merge -p '{"spec": {"documentDBVersion": \
"{{image|dotted}}{{^image}}<NEW_VERSION>{{/^image}}"}}'
kubectl -n {{namespace|raw}} get pods -l cnpg.io/cluster={{cluster|raw}} -w
```

The operator itself comes by its chart, and before the image. Its release notes may demand steps before that: \
`release_plan()` lists them for recorded releases. Helm does not upgrade the definitions, so they come first:

```bash
helm show crds oci://ghcr.io/documentdb/documentdb-operator --version <NEW_VERSION> | kubectl apply --server-side \
--force-conflicts -f -
helm upgrade documentdb-operator oci://ghcr.io/documentdb/documentdb-operator --version <NEW_VERSION> \
--namespace documentdb-operator --reset-then-reuse-values --atomic --timeout 10m
```

What the operator's new chart would change of your values; a value that it does not know any more has no effect:

```bash
helm show values oci://ghcr.io/documentdb/documentdb-operator --version <NEW_VERSION> | diff values-before.yaml -
```

{{/^kind.refuse}}{{/^kind.ready}}
What every instance runs:

```sql
SELECT extension, installed_version, binary_version, loaded_version, gate FROM documentdb_upgrade.versions;
SELECT name, depth, status, installed_version, binary_version, loaded_version, problem FROM documentdb_upgrade.standbys;
```

{{?unready}} Standbys that are not ready:

{{#unready}} - {{name}}: {{status}}. {{problem}}

{{#kind.wait}} When the new binary is here, write a new runbook: it then has the scripts, and the fingerprint for \
phase two.
{{#kind.none}} Then write a new runbook, which has the scripts.
{{#kind.schema_ahead}} Until then, let nothing write: `fence_writes()` (section 1) stops writes at once; after \
`ALTER SYSTEM SET documentdb_upgrade.schema_ahead_action = 'read_only';` and a reload, the worker stops writes.
$md$),

(8, 'Phase two: the schema', $md$
{{#kind.none}} Nothing to commit: {{from}} is installed.
{{#kind.schema_ahead}} Nothing to commit. **Do not try to lower the schema:** no script does that. Install a binary \
that is new enough (section 7).
{{#kind.refuse}} Nothing to commit: {{reason}}
{{?to_do}}
**This cannot be undone.** It is one transaction: either all of it commits, or nothing has happened. It waits for \
locks only for a short time, and then gives up.

{{#kind.wait}} After phase one, write a new runbook; it has the fingerprint, with which only the reviewed scripts can \
run. Without it:

{{#not_yet}} **Not yet:** first solve the problems that the guards report (section 15).

### With psql

Open a session on the primary, and ask whether the upgrade may run; the answer must be `t`:

```bash
psql -p {{port}} -d {{database|shell}}      # on the server itself
kubectl -n {{namespace|raw}} exec -it "$(kubectl -n {{namespace|raw}} get pod -o name \
-l cnpg.io/cluster={{cluster|raw}},cnpg.io/instanceRole=primary)" -c postgres -- psql -d {{database|shell}}
```

```sql
SELECT documentdb_upgrade.can_finalize({{goal|literal}});
```

Commit. Keep the row: a restore needs its restore point, LSN and timeline.{{#kind.ready}} The second argument is the \
fingerprint of what this runbook describes; if a script, a library or a version has changed since, nothing runs \
(55000).{{/#kind.ready}}

```sql
SELECT id, outcome, from_version, to_version, restore_point, restore_lsn, restore_timeline
FROM documentdb_upgrade.finalize_to({{goal|literal}}{{#kind.ready}}, {{fingerprint|literal}}{{/#kind.ready}});
```

Wait until every instance sees it; `t` means success:

```sql
SELECT documentdb_upgrade.wait_for({{goal|literal}}, '10 min');
```

A role that may not `SELECT` on DocumentDB runs `CALL documentdb_upgrade.run_finalize_to({{goal|literal}});` instead.

{{#skippable}} To go on although {{skippable_names|raw}} refuses, which is recorded: \
`SELECT documentdb_upgrade.finalize_to({{goal|literal}}, skip_guards => {{skippable|literal}});`

### With kubectl

{{#follows_resource}} The worker follows the custom resource and commits by itself when no guard refuses:
{{^follows_resource}} Only where the worker follows a custom resource (`documentdb_upgrade.source` is {{source|code}} \
here):

```bash
kubectl -n {{namespace|raw}} patch dbs {{resource|raw}} --type=merge -p '{"spec": {"schemaVersion": "{{goal|dotted}}"}}'
kubectl -n {{namespace|raw}} wait --for=jsonpath='{.status.schemaVersion}'={{goal|dotted}} dbs/{{resource|raw}} \
--timeout=15m
kubectl -n {{namespace|raw}} get events \
--field-selector involvedObject.kind=DocumentDB,involvedObject.name={{resource|raw}}
```

### While it runs

`SELECT * FROM documentdb_upgrade.progress;` shows step n of m. To end an attempt of the worker, run \
`SELECT documentdb_upgrade.cancel();`. To end one of a session, run `pg_cancel_backend(pid)`. Both work only before \
the commit, and then nothing has happened. If you lose the connection, you do not know the outcome: look at \
`documentdb_upgrade.history`.

### Blue-green instead

For a step that you want to be able to take back after clients have seen it, or that cannot be done in place: a new \
server (*green*) beside this one (*blue*). docs/blue-green.md has every command.

1. Make green, with {{goal}} from the start, and bring the data there: by dump and restore, or by logical replication.
2. Days before, compare: `SELECT * FROM documentdb_upgrade.compare_with('<CONNECTION_STRING_OF_GREEN>');` names what \
differs, and no row means equal.
3. Stop writes here: `SELECT lsn, drained_at, writers FROM documentdb_upgrade.fence_writes('cut-over', '10 s');`
4. When green has everything up to that LSN, compare once more.
5. Let applications connect to green. Way back until they write there: `SELECT documentdb_upgrade.lift_fence();` here, \
and connect them to blue again.
{{/?to_do}}
$md$),

(9, 'Verification', $md$
{{#to_do}} After phase two. Expected: state `up_to_date`, version {{goal}} everywhere, outcome `succeeded`, and no row \
of the report fails.
{{^to_do}} Expected: no row of the report fails.

```sql
SELECT state, installed_version, next_step FROM documentdb_upgrade.status;
SELECT extension, installed_version, binary_version, loaded_version, gate FROM documentdb_upgrade.versions;
SELECT name, status, installed_version, gate, problem FROM documentdb_upgrade.standbys;
SELECT id, outcome, from_version, to_version, restore_point, restore_lsn, restore_timeline \
FROM documentdb_upgrade.history ORDER BY id DESC LIMIT 3;
SELECT * FROM documentdb_upgrade.post_upgrade_report() WHERE status IN ('fail', 'warn');
```

{{?manual}}
What a database cannot see; these are the rows `manual` of the report:

```bash
{{#manual}}
# {{check_name|raw}}: {{detail|raw}}
{{hint|raw}}
{{/#manual}}
```
{{/?manual}}
$md$),

(10, 'Smoke tests', $md$
{{?post_checks}}
Run the post-checks once more, outside the upgrade, as a superuser. Each must give `t`, and what they write is rolled \
back:

```sql
BEGIN;
{{#post_checks}} SELECT {{function|raw}} AS {{name|ident}};
ROLLBACK;
```

{{/?post_checks}}
{{?smoke}}
Made from what is installed here, and tried when this was written{{#to_do}} (the version is {{goal}} after phase \
two){{/#to_do}}. Each must give one row:

```sql
{{#smoke}} {{statement|raw}}
```

{{/?smoke}}
{{?left_out}} Left out, because they do not work here now:

{{#left_out}} - {{statement|code}}: {{problem}}

{{#can_insert}}
Write, read and take back; expected are `t`, an answer, and the document, both as BSON:

```sql
BEGIN;
SELECT documentdb_api.create_collection('smoke_test', 'upgrade');
SELECT documentdb_api.insert_one('smoke_test', 'upgrade', '{"_id": 1, "n": 1}');
SELECT document FROM documentdb_api.collection('smoke_test', 'upgrade');
ROLLBACK;
```

{{/#can_insert}}
{{#is_documentdb}}
Through the gateway, as an application does it:

```bash
mongosh "<CONNECTION_STRING>" --eval 'db.runCommand({ping: 1})' --eval 'db.smoke.insertOne({n: 1}); \
db.smoke.findOne({n: 1}); db.smoke.drop()'
```

{{/#is_documentdb}}
Then send one request of each kind that your application makes.
$md$),

(11, 'Rollback, while it is possible', $md$
{{#kind.schema_ahead}} **Not possible any more.** The schema is at {{from}}, and a schema never goes back: the binary \
must be as new as the schema.
{{#kind.none}} **Not possible any more** for what is installed ({{from}}): a schema never goes back, see section 12. A \
newer binary that you install later can be taken back until its schema has been committed.
{{^kind.schema_ahead}}{{^kind.none}}
**Still possible:** the schema is at {{from}}. Until phase two has committed, you can put the old binary back, and \
nothing is lost.

First make sure that nobody commits meanwhile:

```sql
SELECT documentdb_upgrade.hold('rollback of the binary');
```

The answer is `f` when a commit had already begun: then look at `documentdb_upgrade.history` before you do anything \
else. On Kubernetes take back `schemaVersion` as well, then the image:

```bash
kubectl -n {{namespace|raw}} annotate dbs {{resource|raw}} documentdb-upgrade/hold='rollback of the binary'
kubectl -n {{namespace|raw}} patch dbs {{resource|raw}} --type=merge -p '{"spec": {"schemaVersion": ""}}'
kubectl -n {{namespace|raw}} patch dbs {{resource|raw}} --type=merge -p '{"spec": {"documentDBVersion": \
"{{from|dotted}}"}}'
```

Where the chart was upgraded, it goes back too, before the image; leave the definitions (CRDs) as they are:

```bash
helm history documentdb-operator --namespace documentdb-operator --max 5
helm rollback documentdb-operator <REVISION> --namespace documentdb-operator --wait --timeout 10m
```

For recorded releases, `rollback_plan()` has these steps in order, with how long they take together and the command \
for each when Helm or the operator fails; `verify_rollback()` is the checklist afterwards.

On a server without Kubernetes install the old package on each instance and restart it, the primary last:

```bash
apt-get install --allow-downgrades <PACKAGE>=<OLD_PACKAGE_VERSION>
pg_ctl restart -D <DATA_DIRECTORY> -m fast
```

The rollback is complete when the old binary is back, and is not below {{from}}:

```sql
SELECT extension, installed_version, binary_version, loaded_version FROM documentdb_upgrade.versions;
```

When upgrades may go on, end the hold: `SELECT documentdb_upgrade.release();`
{{/^kind.none}}{{/^kind.schema_ahead}}
$md$),

(12, 'Recovery, when it is not', $md$
{{#success}}
{{#restore_lsn}} The last upgrade of this server ({{from_version}} to {{to_version}}, committed {{finished_at|time}}) \
wrote restore point {{restore_point|code}} at LSN **{{restore_lsn}}** on timeline **{{restore_timeline}}**. A restore \
to that point has the schema of {{from_version}}, and loses everything that was written since.
{{^restore_lsn}} The last upgrade of this server has no restore point on record (`wal_level` was minimal, or it was \
done by hand): restore a backup from before it, or to a time just before it.
{{/#success}}
{{^success}}
No upgrade of this server is on record yet. Phase two will write a restore point before its first script; name, LSN \
and timeline are in its row:

```sql
SELECT id, from_version, to_version, restore_point, restore_lsn, restore_timeline FROM documentdb_upgrade.history \
WHERE outcome = 'succeeded' ORDER BY id DESC;
```
{{/^success}}

A schema never goes back by SQL. Before you restore, find out whether a newer binary or a corrected script can solve \
the problem: a restore loses data, and a correction does not.

Restore into a **new** place, from a backup that finished before the restore point, with:

```ini
restore_command = '<YOUR_RESTORE_COMMAND>'
recovery_target_lsn = '{{restore_lsn|raw}}'
recovery_target_timeline = '{{restore_timeline|raw}}'
recovery_target_inclusive = off
recovery_target_action = 'pause'
```

Look at the data while recovery is paused, then run `SELECT pg_wal_replay_resume();`. With CloudNativePG a new Cluster \
takes its place:

```yaml
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata:
  name: <NEW_CLUSTER>
  namespace: {{namespace|raw}}
spec:
  # instances, imageName, storage and postgresql as in the old one
  bootstrap:
    recovery:
      backup:
        name: <BACKUP>
      recoveryTarget:
        targetLSN: "{{restore_lsn|raw}}"
        targetTLI: "{{restore_timeline|raw}}"
        exclusive: true
```

Its binary may be the new or the old one, but not older than the restored schema. Make sure that the worker does not \
upgrade it again: leave the desired version empty, or place a hold first.

{{#backup}} The newest backup on record: "{{label}}", finished {{finished_at|time}}.

### Emergency steps by hand

- **The server does not start, a preloaded library is missing:** remove it from `shared_preload_libraries`, start, \
repair the files, put it back.
- **An attempt does not end:** `SELECT pg_cancel_backend(pid) FROM documentdb_upgrade.progress;` Then nothing has \
happened, unless its commit had begun.
- **Writes must stop:** `SELECT writers FROM documentdb_upgrade.fence_writes('why', '1 min');` refuses them until \
`SELECT documentdb_upgrade.lift_fence();`. It needs the library preloaded. Without it: `ALTER SYSTEM SET \
default_transaction_read_only = on;` and `SELECT pg_reload_conf();`, which sessions can undo for themselves.
- **A hook refuses a statement that you intend:** as a superuser `SET documentdb_upgrade.enforce = off;` in this \
session only.
- **Everything else of this extension fails, and the upgrade must be committed:** as a superuser, after a backup, \
`ALTER EXTENSION {{extension|ident}} UPDATE TO {{goal|literal}}{{^goal}}{{from|literal}}{{/^goal}};`, companions first \
as in section 17. It has no limits and no checks.
$md$),

(13, 'What to watch for 24 hours', $md$
{{#in_first_day}} **These 24 hours have begun:** the last upgrade committed {{success.finished_at|time}}.

Every few minutes in the first hour, then every hour:

- state `up_to_date`; when it is `verifying` for longer than a few minutes, it names a standby that does not follow
- errors of clients, latency and throughput, compared with the day before
- deadlocks and rollbacks below: do they grow faster than before?
- the server's log: `ERROR`, `FATAL`, `could not find function`, `permission denied`; this runbook does not read it
- replication lag, and WAL kept by slots
- plans of the most frequent queries, where functions or indexes have changed

```sql
SELECT state, next_step, last_error FROM documentdb_upgrade.status;
SELECT datname, deadlocks, xact_commit, xact_rollback, conflicts, checksum_failures FROM pg_stat_database \
WHERE datname = current_database();
SELECT application_name, state, replay_lag FROM pg_stat_replication;
SELECT slot_name, active, wal_status FROM pg_replication_slots;
SELECT check_name, status, detail FROM documentdb_upgrade.post_upgrade_report() WHERE status IN ('fail', 'warn');
```

```bash
kubectl -n {{namespace|raw}} get events \
--field-selector involvedObject.kind=DocumentDB,involvedObject.name={{resource|raw}} -w
```
$md$),

(14, 'Clean-up', $md$
After 24 hours without trouble:

- take a backup of the new schema and record it: older backups restore the older schema
- end holds that were placed for the upgrade, and remove the annotation from the custom resource
- refresh statistics where tables were rewritten
- remove the old package or image that you kept for a rollback; keep the backup from before the upgrade

```sql
SELECT documentdb_upgrade.record_backup({{label_after|literal}}, now());
SELECT id, reason, until, placed_by FROM documentdb_upgrade.holds WHERE released_at IS NULL;
ANALYZE;
```

```bash
kubectl -n {{namespace|raw}} annotate dbs {{resource|raw}} documentdb-upgrade/hold-
```
$md$),

(15, 'Troubleshooting: what fails now', $md$
{{^refusing}}{{^failures}}{{^kind.schema_ahead}}{{^kind.refuse}}
Nothing fails now.

{{/^kind.refuse}}{{/^kind.schema_ahead}}{{/^failures}}{{/^refusing}}
{{#kind.schema_ahead}}
### The binary is older than the schema

- why: {{reason}}
- what to do: section 7. If you cannot get such a binary, restore a backup from before the upgrade (section 12).

{{/#kind.schema_ahead}}
{{#kind.refuse}}
### The target cannot be reached

- why: {{reason}}
- what to do: correct the desired version or the extension's files.

{{/#kind.refuse}}
{{#failures}}
### {{#attempt}}Attempt {{id}} {{what}}, {{finished_at|time}}{{/#attempt}}\
{{^attempt}}Rehearsal {{id}} did not pass{{/^attempt}}

- message: {{message}} (SQLSTATE {{sqlstate}}{{^sqlstate}}none{{/^sqlstate}})
{{#detail}} - detail: {{detail}}
{{#hint}} - hint: {{hint}}
{{#script}} - script: {{script|code}}{{#script_line}}, line {{script_line}}{{/#script_line}}
{{#context}} - context: {{context}}
{{#sqlstate_is.55P03}} - what to do: another session held a lock that the scripts need. Nothing was changed. See guard \
`blocking_sessions`, try again later, or raise `documentdb_upgrade.lock_timeout`.
{{#sqlstate_is.57014}} - what to do: it was cancelled or took longer than `documentdb_upgrade.attempt_timeout`. \
Nothing was changed.
{{#sqlstate_is.53200}} - what to do: the shared lock table was full. Raise `max_locks_per_transaction` as guard \
`lock_capacity` says, on standbys first, and restart.
{{#sqlstate_is.55006}} - what to do: another upgrade was running. Look whether it has succeeded.
{{#sqlstate_is.55000}} - what to do: a guard refused, or the files have changed since the fingerprint was taken. Solve \
the problem that the message names.
{{#sqlstate_is.other}} - what to do: nothing was changed. Remove the cause at the line named, rehearse, then try \
again; the worker tries when its input changes or after `SELECT documentdb_upgrade.retry();`

{{/#failures}}
{{#refusing}}
### Guard {{guard|code}} refuses

- why: {{detail}}
- what to do: {{hint}}{{^hint}}see docs/guards.md{{/^hint}}
{{#hard}} - it is hard: it cannot be overridden

{{/#refusing}}
### Anything else

- `SELECT state, next_step FROM documentdb_upgrade.status;` says why nothing happens, and the command that would \
change it
- `SELECT jsonb_pretty(documentdb_upgrade.support_bundle());` is what a maintainer asks for first; it has no secrets
$md$),

(16, 'Checklist', $md$
{{#kind.none}}
- [ ] no row of `post_upgrade_report()` fails (section 9)
- [ ] 24 hours have passed without trouble (section 13)
- [ ] a backup of this schema is recorded (section 14)
{{/#kind.none}}
{{#kind.schema_ahead}}
- [ ] writes are stopped, or it is decided that they may go on
- [ ] a binary of {{from}} or later is on every instance (section 7)
- [ ] the state is no longer `schema_ahead` (section 9)
- [ ] what the older binary wrote meanwhile was checked
{{/#kind.schema_ahead}}
{{^kind.none}}{{^kind.schema_ahead}}
{{#kind.refuse}} - [ ] the target was corrected, and a new runbook written
{{#kind.wait}}
- [ ] phase one: the new binary is on every instance, standbys first (section 7)
- [ ] a new runbook was written
{{/#kind.wait}}
- [{{ticks.rehearsed|raw}}] rehearsed with exactly these files and versions (section 2)
- [{{ticks.unused|raw}}] nobody uses the objects that are removed (section 3)
- [{{ticks.guards|raw}}] no guard refuses (section 5)
- [{{ticks.backup|raw}}] a recent backup is recorded (section 6)
- [ ] the backup was restored somewhere once (section 6)
- [ ] the migration SQL was reviewed (section 17)
- [ ] those whom section 5 names were told, and know that there is no way back after phase two
- [ ] phase two: committed, outcome `succeeded` (section 8)
- [ ] restore point, LSN and timeline were noted outside this server (section 12)
- [ ] every instance sees the version (section 9)
- [ ] smoke tests passed (section 10)
- [ ] 24 hours have passed without trouble (section 13)
- [ ] a backup of the new schema is recorded, holds are ended (section 14)
{{/^kind.schema_ahead}}{{/^kind.none}}
$md$),

(17, 'The migration SQL, for review', $md$
{{^sql}} There is nothing to review.
{{?sql}}
For reading, **not for running**: `finalize_to()` does the same with limits, checks and a record.
{{#length}}

The scripts have {{length}} characters and are left out here: `SELECT documentdb_upgrade.plan_sql({{goal|literal}});` \
shows them.
{{/#length}}

{{fence|raw}}sql
{{sql|raw}}
{{fence|raw}}
{{/?sql}}
$md$),

(18, 'Lists of objects', $md$
{{^passed}} Not known without a rehearsal (section 2).
{{#passed}}
{{^changes.removed}}{{^changes.added}}{{^changes.changed}}
No object is added, changed or removed.

{{/^changes.changed}}{{/^changes.added}}{{/^changes.removed}}
{{?changes.removed}} ### Removed objects

{{#changes.removed}} - {{kind}} {{identity|code}}{{#what}} ({{what}}){{/#what}}

{{?changes.recreated}} ### Dropped and created again, or rewritten

{{#changes.recreated}} - {{kind}} {{identity|code}} ({{what}})

{{?changes.added}} ### New objects

{{#changes.added}} - {{kind}} {{identity|code}}{{#what}} ({{what}}){{/#what}}

{{?changes.changed}} ### Changed objects

{{#changes.changed}} - {{kind}} {{identity|code}}{{#what}} ({{what}}){{/#what}}

{{?changes.privileges}}
### Privileges

Written as PostgreSQL does it: the role that has the privileges, a letter for each privilege, the role that granted \
them. Nothing before `=` means PUBLIC.

{{#changes.privileges}}
- {{kind}} {{identity|code}}
{{#items}}   - {{verb}} {{item|code}}
{{/#changes.privileges}}
{{/?changes.privileges}}

{{?changes.cut}} Only 40 objects of each kind of change are shown: \
`SELECT documentdb_upgrade.rehearsal_report({{rehearsal.id}});` shows all.
{{/#passed}}
$md$);
COMMENT ON VIEW runbook_template IS
'serves runbook(): the sections of a runbook, as render() takes them; 0 is the head';
