/*-------------------------------------------------------------------------
 *
 * update_script.c
 *	  One update script: its text as the server runs it, and what it says.
 *
 * The text is read as the server's extension.c reads it, with the same
 * substitutions.  A script that is missing or unreadable is expected trouble,
 * described in UpdateScript.problem.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plan/internal.h"

#include <sys/stat.h>

#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "extension/extension.h"

/*
 * The whole file, NUL-terminated and palloc'd; NULL with errno set when it
 * cannot be read.
 */
static char *
read_file(const char *path, int *length)
{
	FILE	   *file = AllocateFile(path, PG_BINARY_R);
	struct stat st;
	char	   *content;
	size_t		got;

	if (file == NULL)
		return NULL;
	if (fstat(fileno(file), &st) != 0 || st.st_size > MaxAllocSize - 1)
	{
		FreeFile(file);
		errno = EFBIG;
		return NULL;
	}
	content = palloc(st.st_size + 1);
	got = fread(content, 1, st.st_size, file);
	if (ferror(file))
	{
		int			save_errno = errno;

		FreeFile(file);
		errno = save_errno;
		return NULL;
	}
	FreeFile(file);
	content[got] = '\0';
	*length = (int) got;
	return content;
}

/* Blanks the lines that begin with \echo, in place. */
static void
blank_echo_lines(char *text)
{
	for (char *line = text; line != NULL; line = strchr(line, '\n'))
	{
		if (*line == '\n')
			line++;
		if (strncmp(line, "\\echo", 5) == 0)
		{
			size_t		length = strcspn(line, "\n");

			memmove(line, line + length, strlen(line + length) + 1);
		}
	}
}

/* text with every occurrence of token replaced; palloc'd when there is any. */
static char *
replace_all(char *text, const char *token, const char *replacement)
{
	StringInfoData buf;
	const char *p = text;
	const char *hit = strstr(text, token);

	if (hit == NULL)
		return text;

	initStringInfo(&buf);
	enlargeStringInfo(&buf, strlen(text));
	for (; hit != NULL; hit = strstr(p, token))
	{
		appendBinaryStringInfo(&buf, p, hit - p);
		appendStringInfoString(&buf, replacement);
		p = hit + strlen(token);
	}
	appendStringInfoString(&buf, p);
	return buf.data;
}

/*
 * Replaces @extschema:name@ by the schema of that extension, as releases
 * since 16 do.
 */
static char *
replace_required_schemas(char *text)
{
#if PG_VERSION_NUM >= 160000
	char	   *start;

	while ((start = strstr(text, "@extschema:")) != NULL)
	{
		char	   *name = start + strlen("@extschema:");
		size_t		length = strcspn(name, "@\n");
		Oid			extension;

		if (name[length] != '@')
			break;
		extension = get_extension_oid(pnstrdup(name, length), true);
		if (!OidIsValid(extension))
			break;
		text = replace_all(text, pnstrdup(start, name - start + length + 1),
						   quote_identifier(get_namespace_name(get_extension_schema(extension))));
	}
#endif
	return text;
}

static char *
text_as_run(const char *source, const ControlFile *control,
			const char *schema, const char *owner)
{
	char	   *text = unconstify(char *, source);

	/* Scripts are large: no copy is made of one that stays as it is. */
	if (strstr(text, "\\echo") != NULL)
	{
		text = pstrdup(source);
		blank_echo_lines(text);
	}
	text = replace_all(text, "@extowner@", quote_identifier(owner));

	if (!control->relocatable)
		text = replace_all(text, "@extschema@", quote_identifier(schema));
	text = replace_required_schemas(text);

	if (control->module_pathname != NULL)
		text = replace_all(text, "MODULE_PATHNAME", control->module_pathname);
	return text;
}

/*
 * The text in the server's encoding; NULL and a problem when it has a
 * character that this encoding lacks.  The conversion only allocates memory,
 * so no subtransaction is needed to survive its error.
 */
static const char *
convert(UpdateScript *script, char *content, int length, int encoding)
{
	MemoryContext context = CurrentMemoryContext;
	const char *volatile converted = NULL;

	PG_TRY();
	{
		converted = pg_any_to_server(content, length, encoding);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		if (edata->sqlerrcode != ERRCODE_UNTRANSLATABLE_CHARACTER)
			PG_RE_THROW();
		FlushErrorState();
		script->problem = psprintf("The script \"%s\" cannot be converted: %s.",
								   script->path, edata->message);
	}
	PG_END_TRY();
	return converted;
}

/*
 * The script from one version to the next, palloc'd; never NULL.  schema and
 * owner are the extension's; they stand in for @extschema@ and @extowner@.
 */
UpdateScript *
du_script_read(const ControlFile *control, const char *extension,
			   const char *schema, const char *owner,
			   const char *from, const char *to)
{
	UpdateScript *script = palloc0(sizeof(UpdateScript));
	ControlFile effective = *control;
	char	   *content;
	int			length;
	int			encoding;

	script->path = du_control_script_path(control, extension, from, to);
	content = read_file(script->path, &length);
	if (content == NULL)
	{
		script->problem = psprintf("The script \"%s\" cannot be read: %m.", script->path);
		return script;
	}
	script->sha256 = du_digest_bytes(content, length);

	du_control_apply_secondary(&effective, extension, to);
	if (effective.problem != NULL)
	{
		script->problem = effective.problem;
		return script;
	}
	script->superuser = effective.superuser;
	script->trusted = effective.trusted;
	script->requires = effective.requires;
	encoding = effective.encoding >= 0 ? effective.encoding : GetDatabaseEncoding();
	if (!pg_verify_mbstr(encoding, content, length, true))
	{
		script->problem = psprintf("The script \"%s\" is not valid in encoding %s.",
								   script->path, pg_encoding_to_char(encoding));
		return script;
	}
	script->source = convert(script, content, length, encoding);
	if (script->source == NULL)
		return script;
	script->text = text_as_run(script->source, &effective, schema, owner);
	du_script_scan(script);
	return script;
}

/*
 * True when the server lets the extension's owner run the script: the control
 * files ask for no superuser, or the owner is one, or the extension is trusted
 * and the owner may create objects in this database.
 */
bool
du_script_suits_owner(const UpdateScript *script, const ExtensionFacts *extension)
{
	return !script->superuser || extension->owner_is_superuser ||
		(script->trusted && extension->owner_can_create);
}

/*
 * The first byte at or after an offset that is neither white space nor part
 * of a comment: a statement's location is where the one before it ended.
 */
static const char *
skip_to_statement(const char *p)
{
	for (;;)
	{
		if (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r' || *p == '\f')
			p++;
		else if (p[0] == '-' && p[1] == '-')
			p += strcspn(p, "\n");
		else if (p[0] == '/' && p[1] == '*')
		{
			int			depth = 0;

			do
			{
				if (p[0] == '/' && p[1] == '*')
				{
					depth++;
					p += 2;
				}
				else if (p[0] == '*' && p[1] == '/')
				{
					depth--;
					p += 2;
				}
				else
					p++;
			} while (depth > 0 && *p != '\0');
		}
		else
			return p;
	}
}

static int
line_of(const char *text_start, const char *position)
{
	int			line = 1;

	for (const char *p = text_start; p < position; p++)
	{
		if (*p == '\n')
			line++;
	}
	return line;
}

/*
 * The line, counted from 1, at which a byte offset of the executed text
 * lies; 0 when there is no text.  The substitutions keep line breaks, so it
 * is the file's line too.
 */
int
du_script_line(const UpdateScript *script, int offset)
{
	if (script->text == NULL || offset > (int) strlen(script->text))
		return 0;
	return line_of(script->text, script->text +offset);
}

/*
 * The line on which the statement begins whose location is a byte offset.
 */
int
du_script_statement_line(const UpdateScript *script, int offset)
{
	if (script->text == NULL || offset > (int) strlen(script->text))
		return 0;
	return line_of(script->text, skip_to_statement(script->text +offset));
}

/*
 * The same for one offset after the other: what lies before the last one is
 * not counted again.
 */
int
du_script_follow(const UpdateScript *script, int offset, ScriptPlace *place)
{
	const char *text = script->text;

	if (text == NULL)
		return 0;
	if (offset < place->offset)
		memset(place, 0, sizeof(ScriptPlace));
	for (; place->offset < offset && text[place->offset] != '\0'; place->offset++)
	{
		if (text[place->offset] == '\n')
			place->lines++;
	}
	text += place->offset;
	return place->lines + line_of(text, skip_to_statement(text));
}
