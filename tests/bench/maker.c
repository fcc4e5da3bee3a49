/* maker.c - makes one of the large captures that toewatch is measured on.
 *
 *	maker SCENE FILE [SCALE] [FOLDER]
 *	maker		the scenes: name, megabytes at scale 1, what they are
 *	maker attacks	the same of those that are attacks (megabytes: 0)
 *
 * FOLDER, with captures in it, is for the scene `mix` alone. `churn`, which is for
 * tests/bench/churn.sh, is in no list. */
#include "tests/bench/scenes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct scene mix = { "mix", false, NULL, 530,
	"captures (the samples) over and over, each time with other addresses" };

static void
list(const struct scene *s)
{
	printf("%s\t%.0f\t%s\n", s->name, s->megabytes, s->text);
}

static int
list_all(void)
{
	for (const struct scene *s = scenes; s->name; s++)
		list(s);
	list(&mix);
	return 0;
}

static int
list_attacks(void)
{
	for (const struct scene *s = attacks; s->name; s++)
		list(s);
	return 0;
}

static const struct scene *
find(const char *name)
{
	for (const struct scene *s = scenes; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	for (const struct scene *s = attacks; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	if (strcmp(name, churn.name) == 0)
		return &churn;
	if (strcmp(name, mix.name) != 0)
		give_up("%s: no such scene", name);
	return &mix;
}

int
main(int argc, char **argv)
{
	const struct scene *s;
	struct wire *w;
	double scale = 1;

	if (argc == 1)
		return list_all();
	if (argc == 2 && strcmp(argv[1], "attacks") == 0)
		return list_attacks();
	if (argc < 3 || argc > 5)
		give_up("usage: maker [attacks | SCENE FILE [SCALE] [FOLDER]]");
	s = find(argv[1]);
	if (argc > 3)
		scale = strtod(argv[3], NULL);
	if (!(scale > 0 && scale <= 100))
		give_up("%s: not a scale above 0 and up to 100", argv[3]);
	w = wire_create(argv[2], s->nanoseconds);
	if (s->make)
		s->make(w, scale);
	else if (argc == 5)
		mix_make(w, scale, argv[4]);
	else
		give_up("mix: which folder has the captures?");
	printf("%llu packets, %llu bytes\n", (unsigned long long)wire_packets(w),
	    (unsigned long long)wire_bytes_written(w));
	wire_close(&w);
	return 0;
}
