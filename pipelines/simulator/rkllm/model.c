/* A simulated .rkllm, a short text; the environment's settings; what a board would print. */
#include "sim.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool fault(const char *name) {
    const char *all = getenv("RKLLM_SIM_FAULTS");
    size_t length = strlen(name);
    for (const char *at = all; at && (at = strstr(at, name)); at += length)
        if ((at == all || at[-1] == ',') && (!at[length] || at[length] == ','))
            return true;
    return false;
}

double setting(const char *name, double otherwise) {
    const char *value = getenv(name);
    return value && *value ? atof(value) : otherwise;
}

/* As the real library does, when it is loaded: later it is too late. */
static int level;
__attribute__((constructor)) static void read_level(void) { level = (int)setting("RKLLM_LOG_LEVEL", 0); }

int log_level(void) { return level; }

void log_error(const char *form, ...) {
    va_list values;
    va_start(values, form);
    fputs("E rkllm (simulated): ", stderr);
    vfprintf(stderr, form, values);
    fputc('\n', stderr);
    va_end(values);
}

void note_life(const char *what) {
    const char *path = getenv("RKLLM_SIM_LIVES");
    FILE *file = path && *path ? fopen(path, "a") : NULL;
    if (!file)
        return;
    fprintf(file, "%s %d\n", what, (int)getpid());
    fclose(file);
}

double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

float peak_memory_mb(void) {
    char line[128];
    long kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld", &kb) == 1)
            break;
    if (file)
        fclose(file);
    return (float)kb / 1024;
}

static void hold(char *place, size_t room, const char *value) {
    size_t length = strlen(value);
    length = length < room ? length : room - 1;
    memcpy(place, value, length);
    place[length] = 0;
}

static void take(Model *model, const char *key, const char *value) {
    if (!strcmp(key, "name"))
        hold(model->name, sizeof model->name, value);
    else if (!strcmp(key, "soc"))
        hold(model->soc, sizeof model->soc, value);
    else if (!strcmp(key, "system"))
        hold(model->system, sizeof model->system, value);
    else if (!strcmp(key, "toolkit"))
        sscanf(value, "%d.%d.%d", model->toolkit, model->toolkit + 1, model->toolkit + 2);
    else if (!strcmp(key, "context_limit"))
        model->context_limit = atoi(value);
    else if (!strcmp(key, "width"))
        model->width = atoi(value);
    else if (!strcmp(key, "reuse"))
        model->reuse = atoi(value);
    else if (!strcmp(key, "strip"))
        model->strip = atoi(value);
}

static bool fits(const Model *model, int own[3]) {
    const char *soc = getenv("RKLLM_SIM_SOC");
    if (soc && *soc && *model->soc && strcmp(soc, model->soc)) {
        log_error("the model is for %s, this is %s", model->soc, soc);
        return false;
    }
    for (int i = 0; i < 3 && model->toolkit[i] <= own[i]; i++)
        if (model->toolkit[i] < own[i] || i == 2)
            return true;
    log_error("the model's version %d.%d.%d is newer than this runtime", model->toolkit[0], model->toolkit[1],
              model->toolkit[2]);
    return false;
}

bool model_read(Model *model, const char *path) {
    char line[512], key[64], value[400];
    int own[3] = {0, 0, 0};
    bool whole = false;
    FILE *file = fopen(path, "r");
    *model = (Model){.context_limit = 4096, .width = 8, .reuse = true, .system = "You are a helpful assistant."};
    if (!file || !fgets(line, sizeof line, file) || strcmp(line, "RKLLM-SIM 1\n")) {
        log_error("invalid rknn llm model magic");
    } else {
        while (!whole && fgets(line, sizeof line, file)) {
            whole = !strcmp(line, "end\n");
            if (sscanf(line, "%63[^=]=%399[^\n]", key, value) == 2)
                take(model, key, value);
        }
        if (!whole)
            log_error("the model ends early");
    }
    if (file)
        fclose(file);
    sscanf(SIM_VERSION, "%d.%d.%d", own, own + 1, own + 2);
    return whole && fits(model, own);
}
