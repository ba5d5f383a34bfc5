/* The simulated runtime's own types: independent of the release, so that only rkllm.c knows the structures of abi.h. */
#ifndef SIM_H
#define SIM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* One position of the KV cache. */
typedef struct {
    int32_t id;
    uint32_t picture; /* checksum of the picture that it is a row of; 0: none */
    bool begins;      /* the picture's first row */
    char *text;
} Cell;

typedef struct {
    Cell *at;
    int count, room;
} Cells;

/* text.c */
typedef struct {
    char *text;
    size_t length, room;
} Text;

void text_add(Text *text, const char *more, size_t length);
void text_put(Text *text, const char *form, ...) __attribute__((format(printf, 2, 3)));
size_t text_token(const char *at); /* bytes of the next token, or 0 at the end */
size_t text_special(const char *at); /* bytes of a special token that begins here, or 0 */
uint32_t text_checksum(const void *data, size_t length); /* zlib's crc32 */

/* cells.c */
void cells_add(Cells *cells, const char *text, size_t length, int32_t id, uint32_t picture, bool begins);
void cells_text(Cells *cells, const char *text, bool strip_special);
void cells_rows(Cells *cells, const float *rows, size_t count, size_t width, bool picture);
void cells_cut(Cells *cells, int from, int to); /* removes [from, to) */
int cells_common(const Cells *one, const Cells *other, bool stop_at_picture);
bool cells_save(const Cells *cells, const char *path);
bool cells_load(Cells *cells, const char *path);
void cells_show(const Cells *cells, Text *text); /* pictures as [checksum*rows] */

/* model.c */
typedef struct {
    char name[64], soc[16], system[256];
    int toolkit[3], context_limit, width;
    bool reuse, strip;
} Model;

bool model_read(Model *model, const char *path); /* false, and why on stderr */
bool fault(const char *name);                    /* whether RKLLM_SIM_FAULTS names it */
double setting(const char *name, double otherwise);
int log_level(void); /* 1: figures of each run, 2: prompts, too */
void log_error(const char *form, ...) __attribute__((format(printf, 1, 2)));
void note_life(const char *what); /* into the file that RKLLM_SIM_LIVES names */
float peak_memory_mb(void);
double now_ms(void);

/* What a run is given, whatever the release. */
typedef struct {
    int type;
    const char *text, *role, *tags[3], *lora, *save_cache;
    const float *rows;
    const int32_t *ids;
    size_t count, pictures; /* rows or ids; each picture has count rows */
    bool thinking, keep_history;
    int max_new_tokens, top_k;
    float temperature;
    void *userdata;
} Given;

typedef struct {
    float prefill_ms, generate_ms;
    int prefill_tokens, generate_tokens;
} Spent;

typedef struct Sim Sim;
struct Sim {
    Model model;
    int context, n_keep, max_new_tokens, top_k;
    float temperature;
    char *tags[3], *system, *prefix, *postfix, *tools, *tools_tag;
    bool templated, preloaded, reuse_rows, ignore_eos;
    Cells kv;
    int system_cells; /* at the head of kv */
    char loras[8][64];
    int lora_count;
    atomic_bool running, aborted;
    bool paused, kept_history;
    int cached, prefilled; /* of the latest run, for its reply */
    Text turn;             /* what the latest run was given, rendered */
    /* Tells whoever runs it; gives what the callback returned. */
    int (*tell)(Sim *sim, const Given *given, const char *text, int32_t id, int state, const Spent *spent);
};

/* run.c */
int sim_run(Sim *sim, const Given *given);
/* reply.c */
char *reply_text(Sim *sim, const Given *given);

#endif
