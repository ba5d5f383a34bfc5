/* The reply: by default a report in JSON of exactly what the run was given, or the script that RKLLM_SIM_REPLY holds
 * (a text, or @file), in which {prompt} {context} {pictures} {cached} {prefilled} {kv} {role} are filled in. */
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

static void fill(Text *text, const Sim *sim, const Given *given, const char *name, size_t length) {
    static const char *const NUMBERS[] = {"cached", "prefilled", "kv"};
    const int values[] = {sim->cached, sim->prefilled, sim->kv.count};
    for (int i = 0; i < 3; i++)
        if (strlen(NUMBERS[i]) == length && !strncmp(NUMBERS[i], name, length)) {
            text_put(text, "%d", values[i]);
            return;
        }
    if (length == 6 && !strncmp(name, "prompt", 6))
        text_add(text, sim->turn.text, sim->turn.length);
    else if (length == 7 && !strncmp(name, "context", 7))
        cells_show(&sim->kv, text);
    else if (length == 8 && !strncmp(name, "pictures", 8))
        pictures(&sim->kv, text, "%08x", " ");
    else if (length == 4 && !strncmp(name, "role", 4))
        text_put(text, "%s", given->role);
    else
        text_add(text, name - 1, length + 2);
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

char *reply_text(Sim *sim, const Given *given) {
    const char *script = getenv("RKLLM_SIM_REPLY");
    if (!script || !*script)
        return report(sim, given);
    char *whole = *script == '@' ? script_file(script + 1) : strdup(script);
    Text text = {0};
    text_add(&text, "", 0);
    for (const char *at = whole, *end; *at;)
        if (*at == '{' && (end = strchr(at, '}'))) {
            fill(&text, sim, given, at + 1, (size_t)(end - at) - 1);
            at = end + 1;
        } else {
            text_add(&text, at++, 1);
        }
    free(whole);
    return text.text;
}
