/*-------------------------------------------------------------------------
 *
 * worker_role.c
 *	  What the worker follows and to whom it reports, by the server's role.
 *
 * A primary follows its source and reports to the custom resource, if that is
 * one.  A standby reports to its upstream and opens no source.  The designated
 * primary of a replica region does both: its own resource says how many
 * standbys the region should have, and hears how things stand there.  It is a
 * standby all the same, and nothing that is desired is acted on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/loop/internal.h"

#include "access/xlog.h"

#include "base/base.h"
#include "processes/processes.h"
#include "worker/kubernetes/kubernetes.h"
#include "worker/source/source.h"
#include "worker/standby/standby.h"

#define INSTANCES_OF_HIGH_AVAILABILITY 3

/*
 * How many standbys the resource gives this server's region; -1 when it does
 * not say.
 */
static int
count_expected(const CustomResource *resource)
{
	if (resource == NULL)
		return -1;
	if (resource->highly_available && !RecoveryInProgress())
		return INSTANCES_OF_HIGH_AVAILABILITY - 1;
	return resource->instances_per_node > 0 ? resource->instances_per_node - 1 : -1;
}

/*
 * Takes what the source says into the facts; without one nothing is known of
 * what is desired.
 */
static void
take_source_state(Worker *worker)
{
	WorkerFacts *facts = &worker->facts;
	static const DesiredState none = {SOURCE_STARTING};
	const DesiredState *state = worker->source != NULL ? &worker->source->state : &none;
	const CustomResource *resource = state->resource;

	facts->source_ok = state->health == SOURCE_OK;
	du_shared_copy_text(facts->source_problem, state->problem ? state->problem : "");
	du_shared_copy_text(facts->source_hint, state->hint ? state->hint : "");
	if (worker->source != NULL && !facts->source_ok && facts->source_problem[0] == '\0')
		strlcpy(facts->source_problem, "The desired version has not been read yet.",
				sizeof(facts->source_problem));
	du_shared_copy_text(facts->location, state->location ? state->location : "");
	du_shared_copy_text(facts->hold_hint, state->hold_hint ? state->hold_hint : "");
	du_shared_copy_text(facts->wish, state->wish ? state->wish : "");
	facts->last_contact = state->last_contact;
	facts->contact = state->contact;

	facts->desired_known = state->version != NULL;
	strlcpy(facts->desired, state->version ? state->version : "", sizeof(facts->desired));
	strlcpy(facts->spec_binary, resource && resource->spec_binary ? resource->spec_binary : "",
			sizeof(facts->spec_binary));
	strlcpy(facts->resource_uid, resource && resource->uid ? resource->uid : "",
			sizeof(facts->resource_uid));
	facts->resource_generation = resource ? resource->generation : 0;
	facts->region_standbys = count_expected(resource);

	facts->held = resource != NULL && resource->hold != NULL;
	facts->hold_reason[0] = '\0';
	if (facts->held)
	{
		char	   *reason = psprintf("%s (annotation %s of %s)", resource->hold, HOLD_ANNOTATION,
									  state->location ? state->location : "the resource");

		du_shared_copy_text(facts->hold_reason, reason);
		pfree(reason);
	}
}

/*
 * Where the desired version comes from.  A file or a resource is followed once
 * for the server: other databases have their settings.
 */
static SourceKind
source_kind(const Worker *worker)
{
	return worker->in_main_database ? (SourceKind) du_guc_source : SOURCE_KIND_SETTING;
}

/* Opens the configured source, and the reports that belong to it. */
static void
open_configured_source(Worker *worker)
{
	switch (source_kind(worker))
	{
		case SOURCE_KIND_SETTING:
			worker->source = du_source_setting_open();
			break;
		case SOURCE_KIND_FILE:
			worker->source = du_source_file_open();
			break;
		case SOURCE_KIND_KUBERNETES:
			worker->source = du_source_kubernetes_open();
			worker->report = du_kube_report_open(worker->source);
			break;
	}
}

/*
 * Opens the source.  A file or a resource names the version of the first main
 * extension, whose worker reads it; that of another one hears from that.
 */
static void
open_source(Worker *worker)
{
	if (worker->further && source_kind(worker) != SOURCE_KIND_SETTING)
		worker->source = du_source_first_open();
	else
		open_configured_source(worker);

	/* Whom it reports to has heard nothing yet. */
	if (worker->announced != NULL)
		pfree(worker->announced);
	worker->announced = NULL;
}

/* Adds the counters of reports that are open, or about to be closed. */
static void
add_reports(ReportCounters *counters, const KubernetesReport *report)
{
	ReportCounters more = du_kube_report_counters(report);

	counters->delivered += more.delivered;
	counters->failed += more.failed;
	counters->dropped += more.dropped;
}

static void
add_standby_reports(ReportCounters *counters, const UpstreamReport *report)
{
	counters->delivered += du_standby_reports_taken(report);
	counters->failed += du_standby_reports_failed(report);
}

/*
 * Takes into the facts how reads and reports have fared since this process
 * started.
 */
void
du_worker_take_counters(Worker *worker)
{
	ReportCounters counters = worker->past_reports;

	if (worker->report != NULL)
		add_reports(&counters, worker->report);
	if (worker->upstream_report != NULL)
		add_standby_reports(&counters, worker->upstream_report);
	worker->facts.reports_delivered = counters.delivered;
	worker->facts.reports_failed = counters.failed;
	worker->facts.events_dropped = counters.dropped;

	if (worker->source != NULL)
	{
		worker->facts.last_contact = worker->source->state.last_contact;
		worker->facts.contact = worker->source->state.contact;
	}
	if (worker->upstream_report != NULL)
		du_upstream_report_tell(worker->upstream_report, &worker->facts);
}

static void
close_reads(Worker *worker)
{
	if (worker->reads != NULL)
		du_kube_reads_close(worker->reads);
	worker->reads = NULL;
}

/*
 * Opens or closes what is read for the health reports.  A single pass has no
 * memory to leave it in.
 */
static void
follow_reads(Worker *worker)
{
	bool		wanted = du_guc_kubernetes_reads && worker->report != NULL && !worker->once;

	if (!wanted)
		close_reads(worker);
	else if (worker->reads == NULL)
		worker->reads = du_kube_reads_open(worker->source);
}

static void
close_source(Worker *worker)
{
	close_reads(worker);
	if (worker->report != NULL)
	{
		add_reports(&worker->past_reports, worker->report);
		du_kube_report_close(worker->report);
	}
	if (worker->source != NULL)
		worker->source->close(worker->source);
	worker->report = NULL;
	worker->source = NULL;
	worker->confirming = false;
}

static void
close_standby_report(Worker *worker)
{
	WorkerFacts *facts = &worker->facts;

	if (worker->upstream_report == NULL)
		return;
	add_standby_reports(&worker->past_reports, worker->upstream_report);
	du_upstream_report_close(worker->upstream_report);
	worker->upstream_report = NULL;

	facts->upstream_ok = false;
	facts->upstream[0] = facts->upstream_problem[0] = facts->upstream_hint[0] = '\0';
	facts->path_length = 0;
	memset(facts->path, 0, sizeof(facts->path));
	facts->path_complete = false;
	facts->last_report = 0;
}

/*
 * Closes everything.
 */
void
du_worker_close(Worker *worker)
{
	close_source(worker);
	close_standby_report(worker);
}

/*
 * Lets the source work.  True when it has something new.
 */
bool
du_worker_advance_source(Worker *worker)
{
	DesiredState *state = &worker->source->state;
	int64		contact = state->contact;

	if (!worker->source->advance(worker->source))
		return false;
	if (state->health == SOURCE_OK && state->contact != contact)
		worker->facts.source_reads++;
	else if (state->health != SOURCE_OK && state->health != SOURCE_STARTING)
		worker->facts.source_failures++;
	take_source_state(worker);
	return true;
}

/*
 * Opens, closes and changes source and reports as role and settings want
 * them.
 */
void
du_worker_follow_role(Worker *worker)
{
	bool		primary = !RecoveryInProgress();
	bool		designated = !primary && worker->main && du_upstream_is_designated();
	bool		follows = primary || designated;

	if (worker->source != NULL && (!follows || worker->source_kind != (int) source_kind(worker)))
		close_source(worker);
	if (worker->source == NULL && follows)
		open_source(worker);
	follow_reads(worker);
	take_source_state(worker);

	if (primary || !worker->main)
		close_standby_report(worker);
	else if (worker->upstream_report == NULL)
		worker->upstream_report = du_upstream_report_open(designated);
	else
		du_upstream_report_reload(worker->upstream_report, designated);

	worker->source_kind = source_kind(worker);
	strlcpy(worker->facts.source, du_guc_source_name(worker->source_kind), sizeof(worker->facts.source));
	worker->primary = primary;
	worker->designated = designated;
}
