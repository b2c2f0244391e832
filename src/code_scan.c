/*-------------------------------------------------------------------------
 *
 * code_scan.c
 *	  What a piece of procedural code mentions.
 *
 * The body of a DO block or of a function is cut into tokens, no more: names,
 * constants and the word EXECUTE are enough to tell what it may touch.  A
 * name that means something else (a variable, a column) does no harm, because
 * whoever asks looks it up.  The server's own scanner is not used, since
 * its token numbers are not in the installed headers of every release.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "code_scan.h"

#include "parser/scansup.h"

typedef enum TokenKind
{
	TOKEN_END,
	TOKEN_NAME,
	TOKEN_STRING,
	TOKEN_OTHER
} TokenKind;

typedef struct Token
{
	TokenKind	kind;
	bool		quoted;			/* a name in double quotes */
	char	   *text;			/* value of a name or string; else one byte */
} Token;

/* Words before a name with parentheses that is not a call. */
static const char *const defining_words[] =
{
	"function", "procedure", "aggregate", "routine", "table", "exists", "into",
	"type", "on", "references", "view", "operator", "update"
};

/* Words of executed text that mean more locks than the table's own. */
static const struct
{
	const char *word;
	TableTouch	touch;
}			touching_words[] =

{
	{"insert", TOUCH_ROWS}, {"update", TOUCH_ROWS}, {"delete", TOUCH_ROWS},
	{"merge", TOUCH_ROWS}, {"select", TOUCH_ROWS},
	{"index", TOUCH_WHOLE}, {"reindex", TOUCH_WHOLE}, {"primary", TOUCH_WHOLE},
	{"unique", TOUCH_WHOLE}, {"exclude", TOUCH_WHOLE}, {"foreign", TOUCH_WHOLE},
	{"references", TOUCH_WHOLE}, {"attach", TOUCH_WHOLE}, {"detach", TOUCH_WHOLE},
	{"cascade", TOUCH_WHOLE}, {"call", TOUCH_WHOLE}, {"do", TOUCH_WHOLE},
	{"type", TOUCH_REWRITE}, {"tablespace", TOUCH_REWRITE}, {"logged", TOUCH_REWRITE},
	{"unlogged", TOUCH_REWRITE}, {"method", TOUCH_REWRITE}, {"cluster", TOUCH_REWRITE},
	{"refresh", TOUCH_REWRITE}, {"truncate", TOUCH_REWRITE}
};

static bool
is_name_start(unsigned char c)
{
	return isalpha(c) || c == '_' || IS_HIGHBIT_SET(c);
}

static bool
is_name_byte(unsigned char c)
{
	return is_name_start(c) || isdigit(c) || c == '$';
}

/* Past white space and comments. */
static const char *
skip_blank(const char *p)
{
	for (;;)
	{
		if (scanner_isspace(*p))
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

/*
 * A text between two quotes, which doubled stand for themselves.  Gives back
 * where it ends.
 */
static const char *
read_quoted(const char *p, char quote, bool escapes, Token *token)
{
	char	   *to = token->text = palloc(strlen(p) + 1);

	for (p++; *p != '\0'; p++)
	{
		if (*p == quote && *++p != quote)
			break;
		if (escapes && *p == '\\' && p[1] != '\0')
			p++;
		*to++ = *p;
	}
	*to = '\0';
	return p;
}

/* A dollar-quoted string; NULL when none begins here. */
static const char *
read_dollar_quoted(const char *p, Token *token)
{
	const char *tag_end = p + 1;
	const char *end;
	char	   *tag;

	while (is_name_byte(*tag_end) && *tag_end != '$')
		tag_end++;
	if (*tag_end != '$' || isdigit((unsigned char) p[1]))
		return NULL;
	tag = pnstrdup(p, tag_end + 1 - p);
	end = strstr(tag_end + 1, tag);
	if (end == NULL)
		return NULL;
	token->kind = TOKEN_STRING;
	token->text = pnstrdup(tag_end + 1, end - tag_end - 1);
	return end + strlen(tag);
}

/*
 * The next token; gives back where it ends.
 */
static const char *
next_token(const char *p, Token *token)
{
	const char *end;

	memset(token, 0, sizeof(Token));
	p = skip_blank(p);
	if (*p == '\0')
		return p;
	if (*p == '\'' || ((*p == 'e' || *p == 'E') && p[1] == '\''))
	{
		bool		escapes = *p != '\'';

		token->kind = TOKEN_STRING;
		return read_quoted(escapes ? p + 1 : p, '\'', escapes, token);
	}
	if (*p == '"')
	{
		token->kind = TOKEN_NAME;
		token->quoted = true;
		return read_quoted(p, '"', false, token);
	}
	if (*p == '$' && (end = read_dollar_quoted(p, token)) != NULL)
		return end;
	if (is_name_start(*p))
	{
		for (end = p; is_name_byte(*end); end++)
			;
		token->kind = TOKEN_NAME;
		token->text = downcase_truncate_identifier(p, end - p, false);
		return end;
	}
	token->kind = TOKEN_OTHER;
	token->text = pnstrdup(p, 1);
	return p + 1;
}

static bool
is_mark(const Token *token, char mark)
{
	return token->kind == TOKEN_OTHER && token->text[0] == mark;
}

static bool
is_word(const Token *token, const char *word)
{
	return token->kind == TOKEN_NAME && !token->quoted && strcmp(token->text, word) == 0;
}

/*
 * Notes what a text says that is part of a statement made at run time.  A
 * default or a NOT NULL that is dropped is an object with a lock of its own;
 * a new column with a default locks the table's two types.
 */
static void
look_into_text(CodeMentions *mentions, const char *text)
{
	Token		token;
	bool		after_drop = false;

	for (text = next_token(text, &token); token.kind != TOKEN_END;
		 text = next_token(text, &token))
	{
		if (after_drop && !is_word(&token, "not") && !is_word(&token, "default"))
			mentions->touch = TOUCH_REWRITE;
		after_drop = is_word(&token, "drop");
		if (after_drop)
			mentions->nobjects++;
		if (is_word(&token, "add"))
			mentions->nobjects += 2;
		for (int i = 0; i < lengthof(touching_words); i++)
		{
			if (is_word(&token, touching_words[i].word))
				mentions->touch = Max(mentions->touch, touching_words[i].touch);
		}
	}
}

/*
 * True for a constant, or a call of format with one.
 */
static bool
begins_with_constant(const char *p)
{
	Token		token;

	p = next_token(p, &token);
	if (is_word(&token, "pg_catalog"))
	{
		p = next_token(p, &token);
		p = next_token(p, &token);
	}
	if (is_word(&token, "format"))
	{
		p = next_token(p, &token);
		p = next_token(p, &token);
	}
	return token.kind == TOKEN_STRING;
}

/*
 * Reads what follows EXECUTE up to the end of the statement.  A constant
 * alone, or before INTO or USING, is a statement whose text is known; else
 * the constants are all that is known of it.
 */
static const char *
read_execute(CodeMentions *mentions, const char *p)
{
	Token		token;
	const char *rest = next_token(p, &token);

	if (token.kind == TOKEN_STRING)
	{
		Token		next;

		(void) next_token(rest, &next);
		if (next.kind == TOKEN_END || is_mark(&next, ';') ||
			is_word(&next, "into") || is_word(&next, "using"))
		{
			mentions->statements = lappend(mentions->statements, token.text);
			return rest;
		}
	}

	/* A trigger's EXECUTE FUNCTION, or a privilege. */
	if (is_word(&token, "function") || is_word(&token, "procedure") ||
		is_word(&token, "on"))
		return rest;

	/* The text must begin with a constant for its verb to be seen. */
	mentions->touch = Max(mentions->touch,
						  begins_with_constant(p) ? TOUCH_ALTER : TOUCH_WHOLE);
	for (rest = p; token.kind != TOKEN_END && !is_mark(&token, ';');
		 rest = next_token(rest, &token))
	{
		if (token.kind == TOKEN_STRING)
			look_into_text(mentions, token.text);
	}
	return p;
}

static bool
is_defining(const Token *token)
{
	for (int i = 0; i < lengthof(defining_words); i++)
	{
		if (is_word(token, defining_words[i]))
			return true;
	}
	return false;
}

/*
 * What the code mentions, palloc'd.
 */
CodeMentions *
du_code_scan(const char *code)
{
	CodeMentions *mentions = palloc0(sizeof(CodeMentions));
	const char *p = code;
	bool		defines = false;
	Token		token;

	for (p = next_token(p, &token); token.kind != TOKEN_END; p = next_token(p, &token))
	{
		CodeName   *name;
		Token		next;
		const char *rest;

		if (token.kind != TOKEN_NAME)
		{
			defines = false;
			continue;
		}
		if (is_word(&token, "execute"))
		{
			p = read_execute(mentions, p);
			continue;
		}

		name = palloc0(sizeof(CodeName));
		name->name = token.text;
		rest = next_token(p, &next);
		if (is_mark(&next, '.'))
		{
			rest = next_token(rest, &next);
			if (next.kind == TOKEN_NAME)
			{
				name->schema = name->name;
				name->name = next.text;
				p = rest;
				rest = next_token(p, &next);
			}
		}
		name->called = is_mark(&next, '(') && !defines;
		defines = name->schema == NULL && is_defining(&token);
		mentions->names = lappend(mentions->names, name);
	}
	return mentions;
}
