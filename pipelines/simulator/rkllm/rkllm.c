/* The names that librkllmrt.so exports, with the structures of the release that this is compiled for. */
#include "abi.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Printed at init, and read by the binding from the file's bytes. */
static const char BANNER[] = "I rkllm: rkllm-runtime version: " SIM_VERSION ", rknpu driver version: %s, platform: %s\n";
static const char DRIVER[] = "0.9.8 (simulated)";

static struct {
    LLMResultCallback tell;
    void *userdata;
} callbacks[64]; /* one for each handle: the callback's type is the release's, Sim knows none */
static Sim *handles[64];

static char *copy(const char *text) { return strdup(text ? text : ""); }

static int tell(Sim *sim, const Given *given, const char *text, int32_t id, int state, const Spent *spent) {
    RKLLMResult result = {0};
    int slot = 0;
    while (handles[slot] != sim)
        slot++;
    result.text = text;
    result.token_id = id;
    void *userdata = given->userdata ? given->userdata : callbacks[slot].userdata;
    LLMResultCallback callback = callbacks[slot].tell;
#if SIM_ABI <= 3
    (void)spent;
    callback(&result, userdata, state);
    return 0;
#else
    if (spent)
        result.perf = (RKLLMPerfStat){spent->prefill_ms, spent->prefill_tokens, spent->generate_ms,
                                      spent->generate_tokens, peak_memory_mb()};
    return callback(&result, userdata, state);
#endif
}

EXPORT RKLLMParam rkllm_createDefaultParam(void) {
    RKLLMParam param;
    memset(&param, 0, sizeof param);
    param.max_context_len = 512, param.max_new_tokens = -1, param.top_k = 40;
    param.top_p = 0.9f, param.temperature = 0.8f, param.repeat_penalty = 1.1f;
    param.mirostat_tau = 5.0f, param.mirostat_eta = 0.1f;
#if SIM_ABI >= 2
    param.n_keep = -1;
    param.extend_param.embed_flash = 1;
    param.extend_param.enabled_cpus_num = 4;
    param.extend_param.enabled_cpus_mask = 0xF0;
#endif
#if SIM_ABI >= 4
    param.extend_param.n_batch = 1;
#endif
    return param;
}

static bool startable(const RKLLMParam *param, Model *model) {
    if (fault("old-driver")) {
        log_error("rknpu driver version is too low, please upgrade to 0.9.8");
        return false;
    }
    if (!model_read(model, param->model_path))
        return false;
    int limit = fault("context-limit") ? 16 : model->context_limit;
    if (param->max_context_len > limit) {
        log_error("max_context[%d] must be less than the model's max_context_limit[%d]", param->max_context_len, limit);
        return false;
    }
    if (fault("no-memory")) {
        log_error("failed to malloc npu memory, size: 1073741824, flags: 0x2");
        return false;
    }
    return true;
}

#if SIM_ABI >= 5
EXPORT int rkllm_init(LLMHandle *handle, RKLLMParam *param, RKLLMCallback *callback) {
    LLMResultCallback result_callback = callback->result_callback;
    void *userdata = callback->result_userdata;
#else
EXPORT int rkllm_init(LLMHandle *handle, RKLLMParam *param, LLMResultCallback callback) {
    LLMResultCallback result_callback = callback;
    void *userdata = NULL;
#endif
    Model model;
    int slot = 0;
    const char *soc = getenv("RKLLM_SIM_SOC");
    double ms = setting("RKLLM_SIM_LOAD_MS", 0);
    if (setting("RKLLM_LOG_LEVEL", 0) >= 1)
        fprintf(stderr, BANNER, DRIVER, soc ? soc : "simulated");
    *handle = NULL;
    if (!startable(param, &model))
        return -1;
    if (fault("null-handle"))
        return 0;
    nanosleep(&(struct timespec){(time_t)(ms / 1000), (long)((ms - (long)(ms / 1000) * 1000) * 1e6)}, NULL);
    while (slot < 64 && handles[slot])
        slot++;
    Sim *sim = slot < 64 ? calloc(1, sizeof(Sim)) : NULL;
    if (!sim)
        return -1;
    sim->model = model;
    sim->context = param->max_context_len, sim->max_new_tokens = param->max_new_tokens;
    sim->top_k = param->top_k, sim->temperature = param->temperature, sim->n_keep = -1;
#if SIM_ABI >= 2
    sim->n_keep = param->n_keep;
#endif
#if SIM_ABI >= 5
    sim->ignore_eos = param->ignore_eos_token;
#endif
#if SIM_ABI <= 4
    const char *tags[3] = {param->img_start, param->img_end, param->img_content};
    for (int i = 0; i < 3; i++)
        sim->tags[i] = copy(tags[i]);
#endif
    sim->reuse_rows = SIM_ABI >= 5; /* 1.2.3 cut the reuse at the picture, 1.3.0 mended it (rknn-llm #492) */
    sim->system = copy(model.system), sim->prefix = copy("<|im_start|>user\n");
    sim->postfix = copy("<|im_end|>\n<|im_start|>assistant\n");
    sim->tell = tell;
    handles[slot] = sim, callbacks[slot].tell = result_callback, callbacks[slot].userdata = userdata;
    *handle = sim;
    note_life("init");
    return 0;
}

EXPORT int rkllm_destroy(LLMHandle handle) {
    Sim *sim = handle;
    if (sim->running)
        abort(); /* a board crashes here too */
    for (int i = 0; i < 64; i++)
        if (handles[i] == sim)
            handles[i] = NULL;
    char *texts[] = {sim->tags[0], sim->tags[1],  sim->tags[2], sim->system,    sim->prefix,
                     sim->postfix, sim->tools, sim->tools_tag, sim->turn.text};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    cells_cut(&sim->kv, 0, sim->kv.count);
    free(sim->kv.at);
    free(sim);
    note_life("destroy");
    return 0;
}

static bool has_lora(const Sim *sim, const char *name) {
    for (int i = 0; i < sim->lora_count; i++)
        if (!strcmp(sim->loras[i], name))
            return true;
    return false;
}

static void read_multimodal(const Sim *sim, const RKLLMMultiModalInput *from, Given *given) {
    given->text = from->prompt;
#if SIM_ABI <= 4
    given->rows = from->image_embed, given->count = from->n_image_tokens, given->pictures = 1;
    for (int i = 0; i < 3; i++)
        given->tags[i] = sim->tags[i];
#if SIM_ABI >= 3
    given->pictures = from->n_image;
#endif
#else
    (void)sim;
    given->rows = from->image.image_embed, given->count = from->image.n_image_tokens;
    given->pictures = from->image.n_image, given->tags[0] = from->image.image_start;
    given->tags[1] = from->image.image_end, given->tags[2] = from->image.image_content;
#endif
}

static Given read_given(const Sim *sim, const RKLLMInput *input, const RKLLMInferParam *infer, void *userdata) {
    Given given = {.type = input->input_type, .role = "user", .userdata = userdata, .top_k = sim->top_k};
    given.max_new_tokens = sim->max_new_tokens > 0 ? sim->max_new_tokens : sim->context;
    given.temperature = sim->temperature;
    if (input->input_type == INPUT_PROMPT)
        given.text = input->prompt_input;
    else if (input->input_type == INPUT_TOKEN)
        given.ids = input->token_input.input_ids, given.count = input->token_input.n_tokens;
    else if (input->input_type == INPUT_EMBED)
        given.rows = input->embed_input.embed, given.count = input->embed_input.n_tokens;
    else
        read_multimodal(sim, &input->multimodal_input, &given);
    if (infer->lora_params)
        given.lora = infer->lora_params->lora_adapter_name;
    if (infer->prompt_cache_params && infer->prompt_cache_params->save_prompt_cache)
        given.save_cache = infer->prompt_cache_params->prompt_cache_path;
#if SIM_ABI >= 2
    given.keep_history = infer->keep_history;
#endif
#if SIM_ABI >= 4
    given.role = input->role ? input->role : "user";
    given.thinking = input->enable_thinking;
#endif
#if SIM_ABI >= 5
    if (infer->sampling_params)
        given.top_k = infer->sampling_params->top_k, given.temperature = infer->sampling_params->temperature;
    if (infer->max_new_tokens > 0)
        given.max_new_tokens = infer->max_new_tokens;
#endif
    return given;
}

typedef struct {
    Sim *sim;
    Given given;
    int code;
} Job;

static void *work(void *argument) {
    Job *job = argument;
    job->code = sim_run(job->sim, &job->given);
    job->sim->running = false;
    return NULL;
}

EXPORT int rkllm_run(LLMHandle handle, RKLLMInput *input, RKLLMInferParam *infer, void *userdata) {
    Sim *sim = handle;
    pthread_t thread;
    Job job = {sim, read_given(sim, input, infer, userdata), 0};
    if (job.given.lora && !has_lora(sim, job.given.lora))
        return -1;
    if (atomic_exchange(&sim->running, true))
        return -1;
    if (setting("RKLLM_SIM_THREAD", 0) && !pthread_create(&thread, NULL, work, &job))
        pthread_join(thread, NULL);
    else
        work(&job);
    return job.code;
}

static void *work_alone(void *argument) {
    work(argument);
    free(argument);
    return NULL;
}

EXPORT int rkllm_run_async(LLMHandle handle, RKLLMInput *input, RKLLMInferParam *infer, void *userdata) {
    Sim *sim = handle;
    pthread_t thread;
    if (atomic_exchange(&sim->running, true))
        return -1;
    Job *job = malloc(sizeof *job);
    *job = (Job){sim, read_given(sim, input, infer, userdata), 0};
    if (pthread_create(&thread, NULL, work_alone, job))
        return -1;
    return pthread_detach(thread);
}
