/*-------------------------------------------------------------------------
 *
 * report_reader.c
 *	  Reads the report of a standby, which may be anything.
 *
 * Who may report is a role with REPLICATION, which can read every file of the
 * server; still nothing that it says may harm us: types, lengths and numbers
 * are checked, and texts are free of control characters, because people read
 * them in logs.  Keys that are not known are left alone: a standby can be newer
 * than its upstream.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fleet/internal.h"

#include "utils/builtins.h"
#include "utils/pg_lsn.h"

#include "base/base.h"
#include "extension/extension.h"

#define PROTOCOL 1

static du_noreturn void
malformed(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("malformed report of a standby"),
			 errdetail_internal("%s", what)));
	pg_unreachable();
}

/* The member of an object, or NULL; JSON null is like none. */
static JsonbValue *
find(JsonbContainer *object, const char *key)
{
	JsonbValue *value = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

/*
 * Copies a text into a field that is zeroed; one that is missing is "".
 */
static void
read_text(JsonbContainer *object, const char *key, char *field, size_t size)
{
	JsonbValue *value = find(object, key);

	if (value == NULL)
		return;
	if (value->type != jbvString)
		malformed(psprintf("Field \"%s\" is not a text.", key));
	if (value->val.string.len >= size)
		malformed(psprintf("Field \"%s\" is longer than %zu bytes.", key, size - 1));
	for (int i = 0; i < value->val.string.len; i++)
	{
		unsigned char c = value->val.string.val[i];

		if (c < ' ' || c == 0x7f)
			malformed(psprintf("Field \"%s\" contains a control character.", key));
	}
	memcpy(field, value->val.string.val, value->val.string.len);
}

static bool
is_hexadecimal(const char *text, size_t length)
{
	return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

/* The same of a number in hexadecimal digits that fill the field, or "". */
static void
read_digits(JsonbContainer *object, const char *key, char *field, size_t size)
{
	read_text(object, key, field, size);
	if (field[0] != '\0' && !is_hexadecimal(field, size - 1))
		malformed(psprintf("Field \"%s\" is not %zu hexadecimal digits.", key, size - 1));
}

static int
read_int(JsonbContainer *object, const char *key, int missing)
{
	JsonbValue *value = find(object, key);
	char	   *text;
	char	   *end;
	long		number;

	if (value == NULL)
		return missing;
	if (value->type != jbvNumeric)
		malformed(psprintf("Field \"%s\" is not a number.", key));
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno != 0 || *end != '\0' || number < -1 || number > PG_INT32_MAX)
		malformed(psprintf("Field \"%s\" is not a whole number in range.", key));
	return (int) number;
}

static bool
read_bool(JsonbContainer *object, const char *key)
{
	JsonbValue *value = find(object, key);

	if (value != NULL && value->type != jbvBool)
		malformed(psprintf("Field \"%s\" is neither true nor false.", key));
	return value != NULL && value->val.boolean;
}

static XLogRecPtr
read_lsn(JsonbContainer *object, const char *key)
{
	char text[	MEMBER_VERSION_LENGTH] = "";
	XLogRecPtr	lsn;
	bool		failed = false;

	read_text(object, key, text, sizeof(text));
	if (text[0] == '\0')
		return InvalidXLogRecPtr;
	lsn = pg_lsn_in_internal(text, &failed);
	if (failed)
		malformed(psprintf("Field \"%s\" is not a WAL position.", key));
	return lsn;
}

/* The place of a text in a list; missing is the first. */
static int
read_choice(JsonbContainer *object, const char *key, const char *const *choices, int n)
{
	char text[	MEMBER_NAME_LENGTH] = "";

	read_text(object, key, text, sizeof(text));
	if (text[0] == '\0')
		return 0;
	for (int i = 0; i < n; i++)
	{
		if (strcmp(text, choices[i]) == 0)
			return i;
	}
	malformed(psprintf("Field \"%s\" has an unknown value.", key));
}

/* The array of that name, or NULL. */
static JsonbContainer *
find_array(JsonbContainer *object, const char *key)
{
	JsonbValue *value = find(object, key);

	if (value == NULL)
		return NULL;
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		malformed(psprintf("Field \"%s\" is not a list.", key));
	return value->val.binary.data;
}

/* An element of an array, which must be an object. */
static JsonbContainer *
element(JsonbContainer *array, int i, const char *key)
{
	JsonbValue *value = getIthJsonbValueFromContainer(array, i);

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		malformed(psprintf("List \"%s\" holds something that is not an object.", key));
	return value->val.binary.data;
}

static void
read_extensions(JsonbContainer *object, FleetMember *member)
{
	JsonbContainer *list = find_array(object, "extensions");

	for (int i = 0; list != NULL && i < JsonContainerSize(list); i++)
	{
		JsonbContainer *one = element(list, i, "extensions");
		char		name[MEMBER_NAME_LENGTH] = "";
		char		versions[3][MEMBER_VERSION_LENGTH] = {"", "", ""};
		char		sha256[MEMBER_FINGERPRINT_LENGTH] = "";
		MemberExtension extension = {name, versions[0], versions[1], versions[2], sha256};

		read_text(one, "name", name, sizeof(name));
		read_text(one, "installed", versions[0], MEMBER_VERSION_LENGTH);
		read_text(one, "binary", versions[1], MEMBER_VERSION_LENGTH);
		read_text(one, "loaded", versions[2], MEMBER_VERSION_LENGTH);
		read_digits(one, "sha256", sha256, sizeof(sha256));
		if (name[0] == '\0')
			malformed("An extension has no name.");
		if (!du_member_add_extension(member, &extension))
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("report of a standby is too large"),
					 errdetail("The versions of its extensions take more than %d bytes.",
							   MEMBER_EXTENSIONS_LENGTH)));
	}
}

static void
read_member(JsonbContainer *object, FleetMember *member)
{
	static const char *const words[] = {"ok", "stale", "silent"};
	const char *libraries[LIBRARY_STALE + 1];

	for (int i = 0; i < lengthof(libraries); i++)
		libraries[i] = du_library_state_name(i);
	read_digits(object, "identity", member->identity, sizeof(member->identity));
	read_digits(object, "incarnation", member->incarnation, sizeof(member->incarnation));
	read_digits(object, "upstream", member->upstream, sizeof(member->upstream));
	read_text(object, "name", member->name, sizeof(member->name));
	read_text(object, "host", member->host, sizeof(member->host));
	read_text(object, "slot", member->slot, sizeof(member->slot));
	member->word = read_choice(object, "status", words, lengthof(words));
	member->designated = read_bool(object, "designated");
	member->expected = read_int(object, "expected", -1);
	member->timeline = read_int(object, "timeline", 0);
	member->received = read_lsn(object, "received");
	member->replayed = read_lsn(object, "replayed");
	member->paused = read_bool(object, "paused");
	member->library = read_choice(object, "library", libraries, lengthof(libraries));
	member->server = read_int(object, "server", 0);
	read_text(object, "program", member->program, sizeof(member->program));
	read_text(object, "gate", member->gate, sizeof(member->gate));
	read_digits(object, "fingerprint", member->fingerprint, sizeof(member->fingerprint));
	read_text(object, "problem", member->problem, sizeof(member->problem));
	read_extensions(object, member);
}

/* True when a member streams, over others of the list, from the sender. */
static bool
is_below_sender(const FleetMember *members, int n, int i)
{
	for (int hops = 0; hops < FLEET_DEPTH; hops++)
	{
		int			up = 0;

		if (strcmp(members[i].upstream, members[0].identity) == 0)
			return true;
		while (up < n && (up == i || members[up].identity[0] == '\0' ||
						  strcmp(members[up].identity, members[i].upstream) != 0))
			up++;
		if (up == n)
			return false;
		i = up;
	}
	return false;
}

/*
 * Reads a report: the sender, then what is below it.  A member that does not
 * hang together with the sender is left out, and so is all that comes back to
 * this server or the sender: where standbys stream in a circle, each hears of
 * itself.  Gives the number of members, palloc'd.  Raises 22023 or 54000.
 */
int
du_report_read(Jsonb *report, const char *own_identity, FleetMember **members)
{
	JsonbContainer *list;
	FleetMember *all;
	int			n;
	int			kept = 1;

	if (!JB_ROOT_IS_OBJECT(report))
		malformed("It is not an object.");
	if (read_int(&report->root, "protocol", 0) != PROTOCOL)
		malformed("Its protocol is not 1.");
	list = find_array(&report->root, "members");
	n = list == NULL ? 0 : JsonContainerSize(list);
	if (n == 0)
		malformed("It has no members.");
	if (n > FLEET_MEMBERS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("report of a standby is too large"),
				 errdetail("It has %d members, and %d is the limit.", n, FLEET_MEMBERS)));

	all = palloc0(n * sizeof(FleetMember));
	for (int i = 0; i < n; i++)
		read_member(element(list, i, "members"), &all[i]);
	if (all[0].identity[0] == '\0')
		malformed("Its sender has no identity.");
	if (strcmp(all[0].identity, own_identity) == 0)
		malformed("Its sender has the identity of this server.");

	strlcpy(all[0].upstream, own_identity, sizeof(all[0].upstream));
	all[0].word = MEMBER_OK;
	*members = palloc0(n * sizeof(FleetMember));
	(*members)[0] = all[0];
	for (int i = 1; i < n; i++)
	{
		if (strcmp(all[i].identity, own_identity) != 0 &&
			strcmp(all[i].identity, all[0].identity) != 0 &&
			is_below_sender(all, n, i))
			(*members)[kept++] = all[i];
	}
	return kept;
}
