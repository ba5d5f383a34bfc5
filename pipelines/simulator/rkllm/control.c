/* What is called between runs, and abort. */
#include "abi.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>

EXPORT int rkllm_abort(LLMHandle handle) {
    ((Sim *)handle)->aborted = true;
    return 0;
}

EXPORT int rkllm_is_running(LLMHandle handle) { return ((Sim *)handle)->running == (SIM_ABI >= 5); }

EXPORT int rkllm_load_lora(LLMHandle handle, RKLLMLoraAdapter *adapter) {
    Sim *sim = handle;
    FILE *file = fopen(adapter->lora_adapter_path, "rb");
    if (!file || sim->lora_count == 8)
        return -1;
    fclose(file);
    snprintf(sim->loras[sim->lora_count++], sizeof *sim->loras, "%s", adapter->lora_adapter_name);
    return 0;
}

EXPORT int rkllm_load_prompt_cache(LLMHandle handle, const char *path) {
    Sim *sim = handle;
    sim->preloaded = cells_load(&sim->kv, path);
    return sim->preloaded ? 0 : -1;
}

EXPORT int rkllm_release_prompt_cache(LLMHandle handle) {
    Sim *sim = handle;
    sim->preloaded = false;
    cells_cut(&sim->kv, 0, sim->kv.count);
    return 0;
}

#if SIM_ABI >= 2
static void set(char **place, const char *text) {
    free(*place);
    *place = strdup(text ? text : "");
}

static int clear_all(Sim *sim, int keep_system) {
    cells_cut(&sim->kv, keep_system ? sim->system_cells : 0, sim->kv.count);
    return 0;
}

EXPORT int rkllm_set_chat_template(LLMHandle handle, const char *system, const char *prefix, const char *postfix) {
    Sim *sim = handle;
    set(&sim->system, system), set(&sim->prefix, prefix), set(&sim->postfix, postfix);
    sim->templated = true;
    sim->system_cells = 0;
    return clear_all(sim, 0); /* the whole cache goes (rknn-llm #377) */
}
#endif

#if SIM_ABI == 2 || SIM_ABI == 3
EXPORT int rkllm_clear_kv_cache(LLMHandle handle, int keep_system) { return clear_all(handle, keep_system); }
#endif

#if SIM_ABI >= 4
EXPORT int rkllm_clear_kv_cache(LLMHandle handle, int keep_system, int *start, int *end) {
    Sim *sim = handle;
    if (!start || !end)
        return clear_all(sim, keep_system);
    if (!sim->paused || sim->kept_history || *start < 0 || *start >= *end)
        return -1;
    cells_cut(&sim->kv, *start, *end);
    return 0;
}

EXPORT int rkllm_get_kv_cache_size(LLMHandle handle, int *sizes) {
    *sizes = ((Sim *)handle)->kv.count;
    return 0;
}

EXPORT int rkllm_set_function_tools(LLMHandle handle, const char *system, const char *tools, const char *tag) {
    Sim *sim = handle;
    set(&sim->system, system), set(&sim->tools, tools), set(&sim->tools_tag, tag);
    return clear_all(sim, 0);
}

EXPORT int rkllm_set_cross_attn_params(LLMHandle handle, RKLLMCrossAttnParam *params) {
    (void)handle;
    return params && params->num_tokens > 0 ? 0 : -1;
}
#endif
