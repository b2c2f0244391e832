/*-------------------------------------------------------------------------
 *
 * enforcement.c
 *	  Decides over what others do to the managed set.
 *
 * Whoever creates, updates or drops an extension of the managed set, in
 * whatever way, meets the guards that name what cannot work.  The decision
 * is made where the server tells of the change itself (object_access.c), so
 * no cascade and no function goes round it; a statement that is seen coming
 * (utility_hook.c) meets the same decision earlier, over its real target.
 *
 * Works in any database and as any role: facts come from the catalogue and
 * the extension's files, no query is run.  Our own finalize has met more
 * guards than these, and meets none while its own scripts run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "enforcement/internal.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "citus/citus.h"
#include "extension/extension.h"
#include "finalize/finalize.h"
#include "plan/plan.h"

#define OVERRIDE_HINT \
	"If this is meant, as a superuser first run SET documentdb_upgrade.enforce = off;"

/* A guard that is not met. */
typedef struct Objection
{
	const char *guard;
	int			sqlstate;
	const char *detail;
	const char *hint;
} Objection;

static GuardedStatement *innermost = NULL;

/*
 * Has the innermost statement be this one, until du_enforcement_end: which
 * must be called on every path.
 */
void
du_enforcement_begin(GuardedStatement *statement)
{
	statement->memory = CurrentMemoryContext;
	statement->outer = innermost;
	innermost = statement;
}

void
du_enforcement_end(GuardedStatement *statement)
{
	innermost = statement->outer;
}

/*
 * True when what others do to this extension is our business.
 */
bool
du_enforcement_watches(const char *extension)
{
	return !du_own_scripts_run() && du_managed_set_of(extension) != NULL;
}

/*
 * Runs a piece of work about an extension while the set that it belongs to is
 * the one that is meant.  Where it belongs to none there is no work.
 */
void
du_enforcement_in_set(const char *extension, void (*work) (void *arg), void *arg)
{
	const char *main_extension = du_managed_set_of(extension);

	if (main_extension != NULL)
		du_main_run(main_extension, work, arg);
}

/* What is done, or is to be done, to an extension. */
typedef struct Change
{
	const char *extension;
	Oid			oid;
	const char *from;
	const char *to;				/* NULL: its default version */
	GuardedStatement *statement;	/* that is to do it */
} Change;

/* The same, and there is something to be said against it. */
static bool
may_object(const char *extension)
{
	return du_guc_enforce != ENFORCE_OFF && du_enforcement_watches(extension);
}

static bool
object_to(Objection *objection, const char *guard, int sqlstate,
		  const char *detail, const char *hint)
{
	objection->guard = guard;
	objection->sqlstate = sqlstate;
	objection->detail = detail;
	objection->hint = hint;
	return true;
}

/* False when the text is missing or no version. */
static bool
parse(const char *text, ExtensionVersion *version, const char **reason)
{
	*reason = "There is none.";
	return text !=NULL && du_version_parse(text, version, reason);
}

static bool
is_orderable(const char *text)
{
	ExtensionVersion version;
	const char *reason;

	return parse(text, &version, &reason);
}

/*
 * Where an update starts.  PostGIS' own command writes a word in place of the
 * version, in the same transaction, to have the path that begins there; what
 * counts is what was there before.
 */
const char *
du_enforcement_start_of(const char *extension, const char *installed)
{
	const char *before;

	if (is_orderable(installed))
		return installed;
	before = du_extension_version_before(extension);
	return is_orderable(before) ? before : installed;
}

static bool
object_to_unorderable(Objection *objection, const char *extension,
					  const char *version, const char *reason)
{
	return object_to(objection, "target_known", ERRCODE_FEATURE_NOT_SUPPORTED,
					 psprintf("Version \"%s\" of extension \"%s\" cannot be ordered: %s",
							  version ? version : "unknown", extension, reason),
					 "Install the extension's files for this binary, or correct them.");
}

/*
 * Objections to any version that is to be installed by this binary.
 */
static bool
object_to_version(Objection *objection, const ExtensionFacts *extension,
				  const char *version)
{
	ExtensionVersion wanted;
	ExtensionVersion limit;
	const char *reason;
	const char *detail;
	const char *hint;

	if (extension->control->problem != NULL)
		return object_to(objection, "target_known", ERRCODE_FEATURE_NOT_SUPPORTED,
						 extension->control->problem,
						 "Install the extension's files for this binary, or correct them.");
	if (!parse(version, &wanted, &reason))
		return object_to_unorderable(objection, extension->name, version, reason);
	if (!parse(extension->limit, &limit, &reason))
		return object_to_unorderable(objection, extension->name, extension->limit, reason);
	if (du_version_compare(&wanted, &limit) > 0)
		return object_to(objection, "within_binary", ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
						 psprintf("Version \"%s\" is above the \"%s\" that this binary offers.",
								  version, extension->limit),
						 du_version_extends(version, extension->limit) ? du_offered_choices_hint(extension, version) :
						 "Roll out the newer binary first and restart PostgreSQL.");
	detail = du_library_problem(extension, &hint);
	if (detail != NULL)
		return object_to(objection, "library_loaded", ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
						 detail, hint);
	return false;
}

/*
 * Objections to a version that the files do not offer, letter by letter: the
 * server knows no other spelling.
 */
static bool
object_to_unoffered(Objection *objection, const ExtensionFacts *extension,
					const char *version)
{
	ExtensionVersion wanted;
	ExtensionVersion other;
	const char *reason;
	const char *spelling = NULL;
	bool		ordered = parse(version, &wanted, &reason);
	ListCell   *lc;

	foreach(lc, extension->offered)
	{
		if (strcmp(lfirst(lc), version) == 0)
			return false;
		if (ordered && parse(lfirst(lc), &other, &reason) && du_version_compare(&wanted, &other) == 0)
			spelling = lfirst(lc);
	}
	return object_to(objection, "target_known", ERRCODE_FEATURE_NOT_SUPPORTED,
					 psprintf("The files of extension \"%s\" do not offer version \"%s\".",
							  extension->name, version),
					 spelling != NULL ? psprintf("Write it as \"%s\".", spelling) :
					 du_offered_choices_hint(extension, version));
}

/*
 * Objections to a companion that would pass the main extension although it
 * comes after it.  One that has versions of its own passes nothing.
 */
static bool
object_to_order(Objection *objection, const ExtensionFacts *extension, const char *version)
{
	const char *name = extension->name;
	char	   *main_version = du_extension_installed_version(du_main_extension(), NULL);
	ExtensionVersion wanted;
	ExtensionVersion of_main;
	const char *reason;

	if (du_managed_place(name) <= du_managed_place(du_main_extension()) ||
		!parse(main_version, &of_main, &reason) ||
		!parse(version, &wanted, &reason) ||
		du_version_compare(&wanted, &of_main) <= 0 ||
		!du_target_share_versions(extension, du_extension_alone(du_main_extension())))
		return false;
	return object_to(objection, "companions_aligned", ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					 psprintf("Extension \"%s\" comes after \"%s\", which is at \"%s\" still.",
							  name, du_main_extension(), main_version),
					 psprintf("Update extension \"%s\" first.", du_main_extension()));
}

/*
 * True when the files lead on from a version that cannot be ordered to one that
 * can: it is a station on the way, and what counts is where that ends.  A statement of
 * its own goes there in PostGIS' command, before the one that goes on.
 */
static bool
is_station(const ExtensionFacts *extension, const char *version)
{
	ListCell   *lc;

	foreach(lc, extension->stations)
	{
		if (strcmp(lfirst(lc), version) == 0)
			return true;
	}
	return false;
}

/*
 * Objections to an update, or to one step of it.  Of one that the coordinator of
 * a cluster has carried here only what this node's own files and memory say
 * counts: it has judged the rest.
 */
static bool
object_to_update(Objection *objection, const ExtensionFacts *extension,
				 const char *from, const char *to)
{
	ExtensionVersion installed;
	ExtensionVersion wanted;
	const char *reason;

	if (!parse(from, &installed, &reason))
	{
		object_to_unorderable(objection, extension->name, from, reason);
		objection->hint = OVERRIDE_HINT;
		return true;
	}
	if (extension->control->problem == NULL)
	{
		if (!parse(to, &wanted, &reason))
			return object_to_unoffered(objection, extension, to) ||
				(!is_station(extension, to) &&
				 object_to_unorderable(objection, extension->name, to, reason));
		if (!du_citus_is_carried() && du_version_compare(&wanted, &installed) < 0)
			return object_to(objection, "not_downgrade", ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
							 psprintf("Version \"%s\" is below the installed \"%s\", and a schema never goes back.",
									  to, from),
							 "Bring back the binary that this schema was made for; to return to an older schema, restore a backup.");
	}
	return object_to_version(objection, extension, to) ||
		object_to_unoffered(objection, extension, to) ||
		(!du_citus_is_carried() && object_to_order(objection, extension, to));
}

/*
 * Refuses, or warns, as the setting says.  what completes "cannot", done
 * follows the extension's name.
 */
static void
say(const Objection *objection, const char *what, const char *done)
{
	if (du_guc_enforce == ENFORCE_ON)
		du_refusal_say(ERROR, objection->sqlstate,
					   psprintf("cannot %s: refused by guard \"%s\"", what, objection->guard),
					   objection->detail, objection->hint);
	else
		du_refusal_say(WARNING, ERRCODE_WARNING,
					   psprintf("%s against guard \"%s\"", done, objection->guard),
					   objection->detail, objection->hint);
}

static void
judge_create(void *arg)
{
	const Change *change = arg;
	const char *extension = change->extension;
	const char *version = change->to;
	const ExtensionFacts *facts;
	Objection	objection;

	if (!may_object(extension))
		return;
	facts = du_extension_alone(extension);
	if (facts->control->path == NULL)
		return;					/* the server will say so */
	if (version == NULL)
		version = facts->binary;
	if (object_to_version(&objection, facts, version))
		say(&objection,
			psprintf("create extension \"%s\" at \"%s\"", extension, version ? version : "unknown"),
			psprintf("extension \"%s\" is created at \"%s\"", extension, version ? version : "unknown"));
}

/*
 * Says what there is against creating an extension at a version.
 */
void
du_enforcement_judge_create(const char *extension, const char *version)
{
	Change		change = {extension, InvalidOid, NULL, version};

	du_enforcement_in_set(extension, judge_create, &change);
}

static const char *
say_update(const ExtensionFacts *facts, const char *from, const char *to)
{
	Objection	objection;

	if (!object_to_update(&objection, facts, from, to))
		return NULL;
	say(&objection,
		psprintf("update extension \"%s\" from \"%s\" to \"%s\"", facts->name, from, to),
		psprintf("extension \"%s\" is updated from \"%s\" to \"%s\"", facts->name, from, to));
	return objection.guard;
}

static void
judge_update(void *arg)
{
	GuardedStatement *statement = ((Change *) arg)->statement;
	const char *from = ((Change *) arg)->from;
	const ExtensionFacts *facts;
	const char *to = statement->version;

	if (!may_object(statement->extension))
		return;
	facts = du_extension_alone(statement->extension);
	if (to == NULL)
		to = facts->control->problem != NULL ? "unknown" : facts->control->default_version;
	if (to == NULL || strcmp(from, to) == 0)
		return;
	statement->against = say_update(facts, from, to);
	statement->judged = statement->against != NULL;
}

/*
 * Says what there is against the update that a statement asks for, once:
 * its steps are not judged again.  They still are when this finds nothing,
 * because the way there can be worse than the target.
 */
void
du_enforcement_judge_update(GuardedStatement *statement, const char *from)
{
	Change		change = {statement->extension, InvalidOid, from, statement->version, statement};

	du_enforcement_in_set(statement->extension, judge_update, &change);
}

/*
 * Says what there is against dropping an extension.
 */
void
du_enforcement_judge_drop(const char *extension, const char *installed)
{
	const char *detail;

	/* Whether that may be, the coordinator has judged for all nodes. */
	if (!may_object(extension) || du_citus_is_carried())
		return;
	detail = psprintf("It is installed at \"%s\"; what it keeps would go with it, and a new one would not bring it back.",
					  installed);
	if (du_guc_enforce == ENFORCE_ON)
		du_refusal_say(ERROR, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					   psprintf("cannot drop managed extension \"%s\"", extension),
					   detail, OVERRIDE_HINT);
	else
		du_refusal_say(WARNING, ERRCODE_WARNING,
					   psprintf("managed extension \"%s\" is dropped", extension),
					   detail, NULL);
}

/*
 * True when the server runs a CREATE EXTENSION that is not at its last
 * version for this extension: one that it installs at an older version first
 * and updates.
 */
static bool
is_on_its_way(const char *extension, const char *version)
{
	const char *last = NULL;

	if (innermost != NULL && innermost->kind == GUARDED_CREATE &&
		strcmp(innermost->extension, extension) == 0)
		last = innermost->version;
	if (last == NULL)
		last = du_extension_alone(extension)->binary;
	return last != NULL && strcmp(last, version) != 0;
}

static void
judge_created(const char *extension, const char *version)
{
	if (may_object(extension) && !is_on_its_way(extension, version))
		du_enforcement_judge_create(extension, version);
}

/*
 * To be told of each extension that comes into being.
 */
void
du_enforcement_created(const char *extension, Oid oid, const char *version)
{
	judge_created(extension, version);
	if (du_enforcement_watches(extension))
		du_made_anew_created(extension, oid);
}

/*
 * True for a step of the innermost statement to something that cannot be
 * ordered and is not where the statement ends: that is judged, this is passed.
 */
static bool
is_on_the_way(const char *to)
{
	const char *end = innermost->version != NULL ? innermost->version :
	du_extension_alone(innermost->extension)->control->default_version;

	return !is_orderable(to) && end != NULL && strcmp(to, end) != 0;
}

static void
judge_step(void *arg)
{
	const Change *change = arg;
	const char *extension = change->extension;
	const char *from = change->from;
	const char *to = change->to;
	bool		announced;

	if (!du_enforcement_watches(extension))
		return;
	if (innermost != NULL && innermost->kind == GUARDED_CREATE)
	{
		judge_created(extension, to);
		return;
	}

	announced = innermost != NULL && strcmp(innermost->extension, extension) == 0;
	if (announced && innermost->from != NULL)
		from = innermost->from;
	if (du_guc_enforce != ENFORCE_OFF && !(announced && (innermost->judged || is_on_the_way(to))))
	{
		const char *against = say_update(du_extension_alone(extension), from, to);

		if (announced && against != NULL)
			innermost->against = against;
	}
	if (!announced)
		return;
	if (innermost->updated_from == NULL)
		innermost->updated_from = MemoryContextStrdup(innermost->memory, from);
	innermost->updated_to = MemoryContextStrdup(innermost->memory, to);
	if (is_orderable(to))
		innermost->from = innermost->updated_to;
}

/*
 * To be told of each change of an extension's version, before its script runs.
 */
void
du_enforcement_updated(const char *extension, const char *from, const char *to)
{
	Change		change = {extension, InvalidOid, from, to};

	du_enforcement_in_set(extension, judge_step, &change);
}

/*
 * To be told of each extension that is about to go.
 */
void
du_enforcement_dropped(const char *extension, Oid oid, const char *installed)
{
	du_enforcement_judge_drop(extension, installed);
	if (du_enforcement_watches(extension))
		du_made_anew_dropped(extension, oid, installed);
}
