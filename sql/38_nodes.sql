--
-- Nodes of a Citus cluster
--

CREATE FUNCTION documentdb_upgrade_internal.node_report(extension text, managed text, target text, guards boolean)
    RETURNS text
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_node_report';
COMMENT ON FUNCTION node_report(text, text, text, boolean)
	IS 'serves view nodes and guard nodes_ready: what this node says of itself, as one JSON object, to its coordinator';

CREATE FUNCTION documentdb_upgrade_internal.cluster_nodes(
    OUT node text, OUT nodeid integer, OUT groupid integer, OUT role text, OUT noderole text,
    OUT active boolean, OUT status text, OUT problem text, OUT hint text, OUT required boolean,
    OUT installed_version text, OUT binary_version text, OUT loaded_version text, OUT gate text,
    OUT library text, OUT program text, OUT extensions jsonb, OUT guards jsonb)
    RETURNS SETOF record
    LANGUAGE C VOLATILE ROWS 10
    AS 'MODULE_PATHNAME', 'documentdb_upgrade_cluster_nodes';
COMMENT ON FUNCTION cluster_nodes() IS 'the rows of view nodes';

CREATE VIEW nodes AS SELECT * FROM cluster_nodes();
COMMENT ON VIEW nodes IS
'one row per node of the Citus cluster that this server coordinates, asked now, over connections of Citus, within '
	'documentdb_upgrade.node_timeout; no row on other servers. Status is ready, bare, inactive, standby, or why it is '
	'not ready: silent, not_installed, other_version, old_binary, other_scripts, old_library, refuses, old_gate, '
	'standbys_behind';
COMMENT ON COLUMN nodes.node IS 'host and port, as Citus has them';
COMMENT ON COLUMN nodes.nodeid IS 'number of the node in pg_dist_node; null: Citus does not list this coordinator';
COMMENT ON COLUMN nodes.groupid IS 'group of the node; 0: the coordinator''s';
COMMENT ON COLUMN nodes.role IS 'coordinator or worker';
COMMENT ON COLUMN nodes.noderole IS 'primary or secondary';
COMMENT ON COLUMN nodes.active IS 'Citus uses it';
COMMENT ON COLUMN nodes.status
	IS 'ready; bare: it cannot tell its scripts and libraries, because this extension is not there; inactive; standby '
	'of another node; or why it is not ready: silent, not_installed, other_version, old_binary, other_scripts, '
	'old_library, refuses, old_gate, standbys_behind';
COMMENT ON COLUMN nodes.problem
	IS 'the same as a sentence, and what is wrong with a standby; null when nothing is';
COMMENT ON COLUMN nodes.hint IS 'what to do about it';
COMMENT ON COLUMN nodes.required IS 'an upgrade waits for it: an active primary';
COMMENT ON COLUMN nodes.installed_version IS 'version of the main extension in the catalog there';
COMMENT ON COLUMN nodes.binary_version IS 'version of the main extension that its files offer';
COMMENT ON COLUMN nodes.loaded_version IS 'version that its loaded library reports';
COMMENT ON COLUMN nodes.gate IS 'version that its loaded library believes to be in force';
COMMENT ON COLUMN nodes.library IS 'its libraries in memory against those on its disk: none, current, unknown, stale';
COMMENT ON COLUMN nodes.program IS 'version of documentdb_upgrade there';
COMMENT ON COLUMN nodes.extensions
	IS 'the managed set as it answered: name, installed, binary, loaded, digest of the steps to the target, problem; '
	'null for this server';
COMMENT ON COLUMN nodes.guards
	IS 'guards that do not pass there, of the hard ones and those of locks, sessions, standbys and disk; null for this '
	'server';
