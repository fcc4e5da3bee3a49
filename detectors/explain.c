/* explain.c - what toewatch can find, from the detectors' own texts. */
#include "detectors/explain.h"

#include <jansson.h>
#include <string.h>

#include "detectors/paper.h"
#include "detectors/registry.h"

enum { NAME_COLUMNS = 24, LABEL_COLUMNS = 10 };

/* Up to the first full stop that ends a sentence. */
static void
first_sentence(const char *text, char *out, size_t size)
{
	const char *stop = strstr(text, ". ");
	size_t n = stop ? (size_t)(stop - text) + 1 : strlen(text);

	if (n >= size)
		n = size - 1;
	memcpy(out, text, n);
	out[n] = '\0';
}

void
explain_list(FILE *out)
{
	struct paper p = paper_for(out);
	char sentence[400];

	for (int n = 0; n < FINDING_COUNT; n++) {
		const struct detector *d = registry_find((enum finding_name)n);

		if (!d || !d->meaning)
			continue;
		first_sentence(d->meaning, sentence, sizeof(sentence));
		paper_fill(&p, 0, finding_name_text((enum finding_name)n),
		    NAME_COLUMNS, sentence);
	}
}

static void
explain_part(const struct paper *p, const char *label, const char *text)
{
	if (!text || !*text)
		return;
	putc('\n', p->out);
	paper_fill(p, 0, label, LABEL_COLUMNS, text);
}

static void
explain_kinds(const struct paper *p, const struct detector *d)
{
	char list[400] = "";

	for (size_t i = 0; d->kinds && d->kinds[i]; i++) {
		if (strlen(list) + strlen(d->kinds[i]) + 3 > sizeof(list))
			break;
		strcat(list, i ? ", " : "");
		strcat(list, d->kinds[i]);
	}
	explain_part(p, "kinds", list);
}

int
explain_finding(FILE *out, enum finding_name name)
{
	const struct detector *d = registry_find(name);
	struct paper p = paper_for(out);

	if (!d)
		return -1;
	paper_ink(&p, INK_BOLD, finding_name_text(name));
	putc('\n', out);
	explain_part(&p, "means", d->meaning);
	explain_part(&p, "decided", d->decided);
	explain_part(&p, "mimics", d->mimics);
	explain_kinds(&p, d);
	explain_part(&p, "source", d->source);
	return 0;
}

static void
set_text(json_t *o, const char *key, const char *text)
{
	json_object_set_new(o, key, text && *text ? json_string(text) :
	    json_null());
}

static json_t *
explain_value(const struct detector *d)
{
	json_t *o = json_object(), *kinds = json_array();

	set_text(o, "meaning", d->meaning);
	set_text(o, "decided", d->decided);
	set_text(o, "mimics", d->mimics);
	set_text(o, "source", d->source);
	for (size_t i = 0; d->kinds && d->kinds[i]; i++)
		json_array_append_new(kinds, json_string(d->kinds[i]));
	json_object_set_new(o, "kinds", kinds);
	return o;
}

char *
explain_json(void)
{
	json_t *all = json_object();
	char *text;

	for (int n = 0; n < FINDING_COUNT; n++) {
		const struct detector *d = registry_find((enum finding_name)n);

		if (d)
			json_object_set_new(all,
			    finding_name_text((enum finding_name)n),
			    explain_value(d));
	}
	text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	return text;
}
