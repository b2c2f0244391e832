/*-------------------------------------------------------------------------
 *
 * report_conninfo.c
 *	  What reports have otherwise than primary_conninfo says.
 *
 * Operators write primary_conninfo themselves, and what is enough to stream
 * may not be enough to connect to a database.  So documentdb_upgrade.report_conninfo
 * names what differs, a role of its own above all, and a file has the password
 * alone, as Secrets are mounted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/standby/internal.h"

#include "storage/fd.h"

#include "base/base.h"

#define LONGEST_PASSWORD 1024

static bool
is_given(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++)
	{
		if (strcmp(options->keyword, keyword) == 0)
			return options->val != NULL;
	}
	return false;
}

/* True for the keywords that tell together where a server is. */
static bool
is_place(const char *keyword)
{
	return strcmp(keyword, "host") == 0 || strcmp(keyword, "hostaddr") == 0 ||
		strcmp(keyword, "port") == 0;
}

/*
 * Puts over the options what own has, by exchanging values: both lists are
 * libpq's, with the same keywords in the same order, and are freed as before.
 * A host of its own has a port of its own, another role another password.
 */
void
du_report_conninfo_override(PQconninfoOption *options, PQconninfoOption *own)
{
	bool		elsewhere = is_given(own, "host") || is_given(own, "hostaddr");
	bool		other_user = is_given(own, "user");

	for (int i = 0; options[i].keyword != NULL; i++)
	{
		char	   *value = options[i].val;

		if (own[i].val == NULL && !(elsewhere && is_place(own[i].keyword)) &&
			!(other_user && strcmp(own[i].keyword, "password") == 0))
			continue;
		options[i].val = own[i].val;
		own[i].val = value;
	}
}

/*
 * Reads the password from its file into the buffer, without the end of line
 * that editors add.  Gives NULL, or a sentence that says what is wrong.
 */
static const char *
read_password(char *password, size_t size)
{
	FILE	   *file = AllocateFile(du_guc_report_password_file, "r");
	const char *why = NULL;
	size_t		length;

	if (file == NULL)
		return psprintf("The password file \"%s\" cannot be read: %m.", du_guc_report_password_file);
	length = fread(password, 1, size - 1, file);
	if (ferror(file))
		why = psprintf("The password file \"%s\" cannot be read: %m.", du_guc_report_password_file);
	else if (length == size - 1)
		why = psprintf("The password file \"%s\" holds more than a password.", du_guc_report_password_file);
	FreeFile(file);
	if (why != NULL)
		return why;

	password[length] = '\0';
	if (length > 0 && password[length - 1] == '\n')
		password[--length] = '\0';
	if (length > 0 && password[length - 1] == '\r')
		password[--length] = '\0';
	if (length == 0)
		return psprintf("The password file \"%s\" is empty.", du_guc_report_password_file);
	if (strlen(password) != length || strpbrk(password, "\r\n") != NULL)
		return psprintf("The password file \"%s\" holds more than a password.", du_guc_report_password_file);
	return NULL;
}

/*
 * Gives the connection the password of the file, where one is set.  NULL, or a
 * sentence that says why it could not.
 */
const char *
du_report_password_add(UpstreamConninfo *upstream)
{
	char		password[LONGEST_PASSWORD];
	const char *problem;

	if (du_guc_report_password_file[0] == '\0')
		return NULL;
	problem = read_password(password, sizeof(password));
	if (problem == NULL)
		du_upstream_set(upstream, "password", pstrdup(password));
	return problem;
}
