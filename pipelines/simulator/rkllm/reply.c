/* The reply: by default a report in JSON of exactly what the run was given, or the script that RKLLM_SIM_REPLY holds
 * (a text, or @file; RKLLM_SIM_REPLY_ZH where the question is Chinese), in which {NAME} is filled in for the names of
 * VALUES below; {NAME:form|otherwise} is the form, with # for the value, or what stands behind | where that is empty. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static void pictures(const Cells *cells, Text *text, const char *form, const char *between) {
    bool more = false;
    text_add(text, "", 0);
    for (int i = 0; i < cells->count; i++)
        if (cells->at[i].begins) {
            text_put(text, "%s", more ? between : "");
            text_put(text, form, cells->at[i].picture); /* one of the two below */
            more = true;
        }
}

static void quote(Text *text, const char *plain) {
    text_put(text, "\"");
    for (; plain && *plain; plain++)
        if (*plain == '"' || *plain == '\\')
            text_put(text, "\\%c", *plain);
        else if ((unsigned char)*plain < 0x20)
            text_put(text, "\\u%04x", *plain);
        else
            text_add(text, plain, 1);
    text_put(text, "\"");
}

static char *report(const Sim *sim, const Given *given) {
    Text text = {0};
    text_put(&text, "{\"prompt\": ");
    quote(&text, sim->turn.text);
    text_put(&text, ", \"pictures\": [");
    pictures(&sim->kv, &text, "\"%08x\"", ", ");
    text_put(&text, "], \"cached\": %d, \"prefilled\": %d, \"kv\": %d", sim->cached, sim->prefilled, sim->kv.count);
    text_put(&text, ", \"role\": \"%s\", \"thinking\": %s", given->role, given->thinking ? "true" : "false");
    text_put(&text, ", \"top_k\": %d, \"temperature\": %g, \"lora\": ", given->top_k, (double)given->temperature);
    quote(&text, given->lora ? given->lora : "");
    text_put(&text, "}");
    return text.text;
}

static bool chinese(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text >= 0xE4 && (unsigned char)*text <= 0xE9) /* U+4000 to U+9FFF */
            return true;
    return false;
}

/* What was asked: the last line of the run's text, the earlier turns stand before it; without the pictures' marks and
 * the word that says who speaks. */
static void question(const Sim *sim, const Given *given, Text *text) {
    (void)sim; /* nothing of the cache */
    static const char MARK[] = "<image>", SPEAKER[] = "User: ";
    enum { LONGEST = 160 };
    const char *whole = given->text ? given->text : "", *end = whole + strlen(whole);
    while (end > whole && (end[-1] == '\n' || end[-1] == ' '))
        end--;
    const char *at = end;
    while (at > whole && at[-1] != '\n')
        at--;
    if (!strncmp(at, SPEAKER, strlen(SPEAKER)))
        at += strlen(SPEAKER);
    text_add(text, "", 0);
    size_t most = text->length + LONGEST;
    while (at < end && text->length < most)
        if (!strncmp(at, MARK, strlen(MARK)))
            at += strlen(MARK);
        else
            text_add(text, at++, 1);
    for (; at < end && ((unsigned char)*at & 0xC0) == 0x80; at++)
        text_add(text, at, 1); /* the rest of its last character */
    if (at < end)
        text_put(text, " …");
}

/* Four digits of the newest picture's checksum: enough to tell a few pictures apart by ear. */
static void picture(const Sim *sim, const Given *given, Text *text) {
    (void)given;
    for (int i = sim->kv.count - 1; i >= 0; i--)
        if (sim->kv.at[i].begins) {
            text_put(text, "%04x", sim->kv.at[i].picture >> 16);
            return;
        }
}

static void prompt(const Sim *sim, const Given *given, Text *text) {
    (void)given;
    text_add(text, sim->turn.text, sim->turn.length);
}

static void context(const Sim *sim, const Given *given, Text *text) {
    (void)given;
    cells_show(&sim->kv, text);
}

static void every_picture(const Sim *sim, const Given *given, Text *text) {
    (void)given;
    pictures(&sim->kv, text, "%08x", " ");
}

static void cached(const Sim *sim, const Given *given, Text *text) { (void)given, text_put(text, "%d", sim->cached); }
static void computed(const Sim *sim, const Given *given, Text *text) { (void)given, text_put(text, "%d", sim->prefilled); }
static void kv(const Sim *sim, const Given *given, Text *text) { (void)given, text_put(text, "%d", sim->kv.count); }
static void role(const Sim *sim, const Given *given, Text *text) { (void)sim, text_put(text, "%s", given->role); }

static const struct {
    const char *name;
    void (*put)(const Sim *sim, const Given *given, Text *text);
} VALUES[] = {{"prompt", prompt},     {"question", question},      {"context", context}, {"picture", picture},
              {"cached", cached},     {"pictures", every_picture}, {"kv", kv},           {"role", role},
              {"prefilled", computed}};

/* Adds what {inside} stands for; false where it is no name. */
static bool fill(Text *text, const Sim *sim, const Given *given, const char *inside, size_t length) {
    const char *end = inside + length, *colon = memchr(inside, ':', length);
    const char *bar = colon ? memchr(colon, '|', (size_t)(end - colon)) : NULL;
    size_t name = (size_t)((colon ? colon : end) - inside), i = 0;
    while (i < sizeof VALUES / sizeof *VALUES && (strlen(VALUES[i].name) != name || strncmp(VALUES[i].name, inside, name)))
        i++;
    if (i == sizeof VALUES / sizeof *VALUES)
        return false;
    Text value = {0};
    text_add(&value, "", 0);
    VALUES[i].put(sim, given, &value);
    if (!colon)
        text_add(text, value.text, value.length);
    else if (!value.length && bar)
        text_add(text, bar + 1, (size_t)(end - bar) - 1);
    else if (value.length)
        for (const char *at = colon + 1; at < (bar ? bar : end); at++)
            text_add(text, *at == '#' ? value.text : at, *at == '#' ? value.length : 1);
    free(value.text);
    return true;
}

static char *script_file(const char *path) {
    Text text = {0};
    char part[4096];
    size_t length;
    FILE *file = fopen(path, "rb");
    text_add(&text, "", 0);
    while (file && (length = fread(part, 1, sizeof part, file)))
        text_add(&text, part, length);
    if (file)
        fclose(file);
    else
        text_put(&text, "(the simulated reply %s cannot be read)", path);
    return text.text;
}

static const char *script(const Given *given) {
    const char *own = getenv("RKLLM_SIM_REPLY_ZH");
    Text asked = {0};
    question(NULL, given, &asked);
    bool its = own && *own && chinese(asked.text);
    free(asked.text);
    return its ? own : getenv("RKLLM_SIM_REPLY");
}

char *reply_text(Sim *sim, const Given *given) {
    const char *chosen = script(given);
    if (!chosen || !*chosen)
        return report(sim, given);
    char *whole = *chosen == '@' ? script_file(chosen + 1) : strdup(chosen);
    Text text = {0};
    text_add(&text, "", 0);
    for (const char *at = whole, *end; *at;)
        if (*at == '{' && (end = strchr(at, '}')) && fill(&text, sim, given, at + 1, (size_t)(end - at) - 1))
            at = end + 1;
        else
            text_add(&text, at++, 1);
    free(whole);
    return text.text;
}
