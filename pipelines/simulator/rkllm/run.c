/* One run: the prompt rendered, what of it is cached found, the rest computed, a reply generated. */
#include "sim.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { PROMPT, TOKEN, EMBED, MULTIMODAL };
enum { NORMAL, WAITING, FINISH, ERROR };
enum { SLICE_MS = 5, DYING_TOKEN = 3, LEAK_BYTES = 2 << 20 };
static const char MARK[] = "<image>", END[] = "<|im_end|>";

/* Sleeps until then, and gives whether an abort was seen meanwhile. */
static bool busy_until(Sim *sim, double until, bool deaf) {
    for (double left; (left = until - now_ms()) > 0;) {
        if (!deaf && sim->aborted)
            return true;
        double part = left < SLICE_MS ? left : SLICE_MS;
        nanosleep(&(struct timespec){0, (long)(part * 1e6)}, NULL);
    }
    return !deaf && sim->aborted;
}

static bool busy(Sim *sim, double ms, bool deaf) { return busy_until(sim, now_ms() + ms, deaf); }

/* The NPU, where RKLLM_SIM_NPU names its lock: two programs on it at once fail as boards do. -1: taken. */
static int npu_take(void) {
    const char *path = getenv("RKLLM_SIM_NPU");
    if (!path || !*path)
        return 0;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB))
        return fd;
    if (fd >= 0)
        close(fd);
    Text name = {0};
    text_put(&name, "%s.overlaps", path);
    FILE *overlaps = fopen(name.text, "a");
    if (overlaps) {
        fprintf(overlaps, "rkllm %d\n", (int)getpid());
        fclose(overlaps);
    }
    free(name.text);
    log_error("failed to submit!, op id: 0, flags: 0x5, task number: 1");
    return -1;
}

static void render_user(Sim *sim, const Given *given, Cells *turn) {
    const char *at = given->text, *mark;
    Text part = {0};
    for (size_t picture = 0; given->type == MULTIMODAL && (mark = strstr(at, MARK)); picture++) {
        part.length = 0;
        text_add(&part, at, (size_t)(mark - at));
        cells_text(turn, part.text, sim->model.strip);
        cells_text(turn, given->tags[0] ? given->tags[0] : "", false);
        if (picture < given->pictures)
            cells_rows(turn, given->rows + picture * given->count * (size_t)sim->model.width, given->count,
                       (size_t)sim->model.width, true);
        cells_text(turn, given->tags[1] ? given->tags[1] : "", false);
        at = mark + strlen(MARK);
    }
    cells_text(turn, at, sim->model.strip);
    free(part.text);
}

static int render(Sim *sim, const Given *given, Cells *turn) {
    int system_cells = 0;
    if (given->type == TOKEN) {
        for (size_t i = 0; i < given->count; i++) {
            char shown[16];
            int length = snprintf(shown, sizeof shown, "#%d ", given->ids[i]);
            cells_add(turn, shown, (size_t)length, given->ids[i], 0, false);
        }
    } else if (given->type == EMBED) {
        cells_rows(turn, given->rows, given->count, (size_t)sim->model.width, false);
    } else {
        if (!given->keep_history || !sim->kv.count) {
            if (!sim->templated)
                cells_text(turn, "<|im_start|>system\n", false);
            cells_text(turn, sim->system, false);
            cells_text(turn, sim->tools ? sim->tools : "", false);
            if (!sim->templated)
                cells_text(turn, "<|im_end|>\n", false);
            system_cells = turn->count;
        }
        bool tool = sim->tools && !strcmp(given->role, "tool");
        cells_text(turn, sim->prefix, false);
        if (tool)
            cells_text(turn, sim->tools_tag, false);
        render_user(sim, given, turn);
        cells_text(turn, sim->postfix, false);
        if (!given->thinking && !sim->templated && sim->tools == NULL && setting("RKLLM_SIM_THINKS", 0))
            cells_text(turn, "<think>\n\n</think>\n\n", false);
    }
    return system_cells;
}

/* rknn-llm #257: with the history kept, a second picture is answered as the first. */
static void make_stale(Sim *sim, Cells *turn) {
    int first = 0;
    while (first < sim->kv.count && !sim->kv.at[first].picture)
        first++;
    for (int i = 0, next = first; i < turn->count && first < sim->kv.count; i++)
        if (turn->at[i].picture) {
            if (turn->at[i].begins || next >= sim->kv.count || !sim->kv.at[next].picture)
                next = first;
            turn->at[i].id = sim->kv.at[next].id;
            turn->at[i].picture = sim->kv.at[first].picture;
            next++;
        }
}

/* What of the new prompt needs no computing: the cache is cut back to it. */
static int reuse(Sim *sim, const Given *given, const Cells *turn) {
    if (given->keep_history)
        return 0;
    int common = 0;
    if (sim->model.reuse && (sim->preloaded || SIM_ABI >= 2))
        common = cells_common(&sim->kv, turn, !sim->reuse_rows);
    if (common >= turn->count)
        common = turn->count - 1;
    cells_cut(&sim->kv, common, sim->kv.count);
    return common;
}

/* ``began``: the run. What a checksum of rows takes here is part of the prompt's time: no board has to make one. */
static bool prefill(Sim *sim, Cells *turn, int from, double began, Spent *spent) {
    double per_token = setting("RKLLM_SIM_PREFILL_MS", 0);
    bool deaf = fault("deaf-prefill"), stop = false;
    for (int i = from; i < turn->count && !stop; i++) {
        stop = busy_until(sim, began + (i - from + 1) * per_token, deaf); /* no sleep's excess adds up */
        const Cell *cell = turn->at + i;
        cells_add(&sim->kv, cell->text, strlen(cell->text), cell->id, cell->picture, cell->begins);
        spent->prefill_tokens++;
    }
    spent->prefill_ms = (float)(now_ms() - began);
    return stop || sim->aborted;
}

/* The window is full: what stands behind the first n_keep tokens goes, the older half of it. */
static void shift(Sim *sim) {
    int keep = sim->n_keep >= 0 ? sim->n_keep : sim->system_cells;
    cells_cut(&sim->kv, keep, keep + (sim->kv.count - keep + 1) / 2);
}

/* Says one token; a character of several bytes in two parts, as RKLLM_SIM_UTF8 says (rest, whole, raw). */
static int say(Sim *sim, const Given *given, const char *token, size_t length, int32_t id) {
    char piece[128];
    if (setting("RKLLM_SIM_MUTE", 0))
        return 0;
    if (setting("RKLLM_SIM_STAMP", 0)) { /* the moment instead of the text, for whoever measures its way */
        snprintf(piece, sizeof piece, " %.0f", now_ms() * 1e6);
        return sim->tell(sim, given, piece, id, NORMAL, NULL);
    }
    const char *style = getenv("RKLLM_SIM_UTF8");
    size_t split = (unsigned char)*token >= 0xC0 && length < 5 ? length - 1 : 0;
    bool raw = style && !strcmp(style, "raw"), whole = style && !strcmp(style, "whole");
    int answer = 0;
    if (split) {
        snprintf(piece, sizeof piece, "%.*s", (int)split, token);
        answer = sim->tell(sim, given, piece, id, raw ? NORMAL : WAITING, NULL);
    }
    snprintf(piece, sizeof piece, "%.*s", (int)(whole ? length : length - split), token + (whole ? 0 : split));
    return sim->tell(sim, given, piece, id, NORMAL, NULL) | answer;
}

/* The first token falls out of the prompt's own computation: the vendor's TTFT of 128 tokens (benchmark.md of 1.3.0:
 * 384 ms for Qwen3-VL-2B on RK3588) leaves no room for a step of decoding beside the prefill's 3.3 ms a token. */
static void decode(Sim *sim, const Given *given, Spent *spent) {
    double began = now_ms(), per_token = setting("RKLLM_SIM_DECODE_MS", 0);
    char *reply = reply_text(sim, given);
    const char *at = reply;
    for (size_t length; (length = text_token(at)) && spent->generate_tokens < given->max_new_tokens;) {
        while (fault("hang"))
            busy(sim, 1000, true);
        if (fault("death") && spent->generate_tokens == DYING_TOKEN)
            abort();
        if (busy_until(sim, began + spent->generate_tokens * per_token, false)) /* no sleep's excess adds up */
            break;
        if (sim->kv.count >= sim->context)
            shift(sim);
        int32_t id = (int32_t)(text_checksum(at, length) & 0x7FFFFFFF);
        cells_add(&sim->kv, at, length, id, 0, false);
        spent->generate_tokens++;
        if (say(sim, given, at, length, id) == 1) {
            sim->paused = true;
            break;
        }
        at += length;
        if (!*at && sim->ignore_eos)
            at = reply;
    }
    if (!*at && sim->kv.count < sim->context)
        cells_text(&sim->kv, END, false);
    free(reply);
    spent->generate_ms = (float)(now_ms() - began);
}

static int failed(Sim *sim, const Given *given) {
    sim->tell(sim, given, NULL, 0, ERROR, NULL);
    return -1;
}

/* Through a volatile pointer: a compiler leaves out memory that nobody could ever see. */
static void leak(void) {
    static char *volatile lost;
    lost = malloc(LEAK_BYTES);
    if (lost)
        memset(lost, 1, LEAK_BYTES);
}

static int compute(Sim *sim, const Given *given, Cells *turn, int system_cells, double began) {
    Spent spent = {0};
    if (given->keep_history && fault("stale-picture"))
        make_stale(sim, turn);
    int common = reuse(sim, given, turn);
    sim->cached = sim->kv.count;
    sim->prefilled = turn->count - common;
    if (system_cells)
        sim->system_cells = system_cells;
    if (sim->kv.count + sim->prefilled >= sim->context) {
        log_error("prompt tokens %d exceed max_context %d", sim->kv.count + sim->prefilled, sim->context);
        return failed(sim, given);
    }
    sim->turn.length = 0;
    cells_show(turn, &sim->turn);
    bool stopped = prefill(sim, turn, common, began, &spent);
    if (given->save_cache && !stopped && !cells_save(&sim->kv, given->save_cache))
        log_error("cannot write the prompt cache %s", given->save_cache);
    if (!stopped)
        decode(sim, given, &spent);
    if (log_level() >= 2)
        fprintf(stderr, "I rkllm (simulated): prompt: %s\n", sim->turn.text);
    if (log_level() >= 1)
        fprintf(stderr, "I rkllm (simulated): prefill %.2f ms, %d tokens; generate %.2f ms, %d tokens\n",
                (double)spent.prefill_ms, spent.prefill_tokens, (double)spent.generate_ms, spent.generate_tokens);
    sim->tell(sim, given, NULL, 0, FINISH, &spent);
    return 0;
}

int sim_run(Sim *sim, const Given *given) {
    if (given->type == MULTIMODAL && (!given->pictures || !given->count)) {
        log_error("n_image/n_image_token of multimodal_input is not set");
        return failed(sim, given);
    }
    int npu = npu_take();
    if (npu < 0)
        return failed(sim, given);
    sim->aborted = false; /* an abort of nothing is forgotten, as it is on a board */
    sim->paused = false;
    sim->kept_history = given->keep_history;
    if (fault("leak") && given->type == MULTIMODAL && !given->keep_history)
        leak();
    Cells turn = {0};
    double began = now_ms();
    int system_cells = render(sim, given, &turn);
    int code = compute(sim, given, &turn, system_cells, began);
    cells_cut(&turn, 0, turn.count);
    free(turn.at);
    if (npu)
        close(npu);
    return code;
}
