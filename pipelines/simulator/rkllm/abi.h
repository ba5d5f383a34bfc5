/* The C interface of librkllmrt by family, written by hand from rkllm.h at the tags of airockchip/rknn-llm. It stands
 * apart from the table that the Python binding is made of: a test holds one against the other.
 *
 * SIM_ABI: 1 = 1.1.0-1.1.4, 2 = 1.2.0, 3 = 1.2.1b1, 4 = 1.2.1-1.2.3, 5 = 1.3.0 */
#ifndef SIM_ABI_H
#define SIM_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(SIM_ABI) || SIM_ABI < 1 || SIM_ABI > 5 || !defined(SIM_VERSION)
#error "compile with -DSIM_ABI=1..5 and -DSIM_VERSION=\"1.2.3\""
#endif

#define EXPORT __attribute__((visibility("default")))

typedef void *LLMHandle;
enum { RUN_NORMAL, RUN_WAITING, RUN_FINISH, RUN_ERROR };
enum { INPUT_PROMPT, INPUT_TOKEN, INPUT_EMBED, INPUT_MULTIMODAL };

typedef struct {
    int32_t base_domain_id;
#if SIM_ABI == 1
    uint8_t reserved[112];
#else
    int8_t embed_flash;
    int8_t enabled_cpus_num;
    uint32_t enabled_cpus_mask;
#if SIM_ABI <= 3
    uint8_t reserved[106];
#else
    uint8_t n_batch;
    int8_t use_cross_attn;
    uint8_t reserved[104];
#endif
#endif
} RKLLMExtendParam;

typedef struct {
    const char *model_path;
    int32_t max_context_len;
    int32_t max_new_tokens;
    int32_t top_k;
#if SIM_ABI >= 2
    int32_t n_keep;
#endif
    float top_p;
    float temperature;
    float repeat_penalty;
    float frequency_penalty;
    float presence_penalty;
    int32_t mirostat;
    float mirostat_tau;
    float mirostat_eta;
    bool skip_special_token;
#if SIM_ABI >= 5
    bool ignore_eos_token;
#endif
    bool is_async;
#if SIM_ABI <= 4
    const char *img_start;
    const char *img_end;
    const char *img_content;
#endif
    RKLLMExtendParam extend_param;
} RKLLMParam;

typedef struct {
    const char *lora_adapter_path;
    const char *lora_adapter_name;
    float scale;
} RKLLMLoraAdapter;

typedef struct {
    float *embed;
    size_t n_tokens;
} RKLLMEmbedInput;

typedef struct {
    int32_t *input_ids;
    size_t n_tokens;
} RKLLMTokenInput;

typedef struct {
    char *prompt;
#if SIM_ABI <= 4
    float *image_embed;
    size_t n_image_tokens;
#if SIM_ABI >= 3
    size_t n_image;
    size_t image_width;
    size_t image_height;
#endif
#else
    struct {
        float *image_embed;
        size_t n_image_tokens;
        size_t n_image;
        const char *image_start;
        const char *image_end;
        const char *image_content;
        size_t image_width;
        size_t image_height;
    } image;
    struct {
        float *video_embed;
        size_t n_frame_tokens;
        size_t n_frame_per_video;
        size_t n_video;
        const char *video_start;
        const char *video_end;
        const char *video_content;
        size_t frame_width;
        size_t frame_height;
    } video;
#endif
} RKLLMMultiModalInput;

typedef struct {
#if SIM_ABI >= 4
    const char *role;
    bool enable_thinking;
#endif
    int32_t input_type;
    union {
        const char *prompt_input;
        RKLLMEmbedInput embed_input;
        RKLLMTokenInput token_input;
        RKLLMMultiModalInput multimodal_input;
    };
} RKLLMInput;

typedef struct {
    const char *lora_adapter_name;
} RKLLMLoraParam;

typedef struct {
    int save_prompt_cache;
    const char *prompt_cache_path;
} RKLLMPromptCacheParam;

#if SIM_ABI >= 4
typedef struct {
    float *encoder_k_cache;
    float *encoder_v_cache;
    float *encoder_mask;
    int32_t *encoder_pos;
    int num_tokens;
} RKLLMCrossAttnParam;
#endif

#if SIM_ABI >= 5
typedef struct {
    int32_t top_k;
    float top_p;
    float temperature;
    float repeat_penalty;
    float frequency_penalty;
    float presence_penalty;
    int32_t mirostat;
    float mirostat_tau;
    float mirostat_eta;
} RKLLMSamplingParam;
#endif

typedef struct {
    int32_t mode;
    RKLLMLoraParam *lora_params;
    RKLLMPromptCacheParam *prompt_cache_params;
#if SIM_ABI >= 5
    RKLLMSamplingParam *sampling_params;
#endif
#if SIM_ABI >= 2
    int keep_history;
#endif
#if SIM_ABI >= 5
    int32_t max_new_tokens;
#endif
} RKLLMInferParam;

typedef struct {
    const float *hidden_states;
    int embd_size;
    int num_tokens;
} RKLLMResultLastHiddenLayer;

#if SIM_ABI >= 2
typedef struct {
    const float *logits;
    int vocab_size;
    int num_tokens;
} RKLLMResultLogits;
#endif

#if SIM_ABI >= 4
typedef struct {
    float prefill_time_ms;
    int prefill_tokens;
    float generate_time_ms;
    int generate_tokens;
    float memory_usage_mb;
} RKLLMPerfStat;
#endif

typedef struct {
    const char *text;
    int32_t token_id;
    RKLLMResultLastHiddenLayer last_hidden_layer;
#if SIM_ABI >= 2
    RKLLMResultLogits logits;
#endif
#if SIM_ABI >= 4
    RKLLMPerfStat perf;
#endif
} RKLLMResult;

#if SIM_ABI <= 3
typedef void (*LLMResultCallback)(RKLLMResult *result, void *userdata, int state);
#else
typedef int (*LLMResultCallback)(RKLLMResult *result, void *userdata, int state);
#endif

#if SIM_ABI >= 5
typedef struct {
    LLMResultCallback result_callback;
    void *result_userdata;
    int (*tokenizer_callback)(void *userdata, const char *text, int32_t length, int32_t *tokens, int32_t most);
    void *tokenizer_userdata;
    int (*embed_callback)(void *userdata, int32_t *tokens, uint64_t count, void *embed, uint64_t length);
    void *embed_userdata;
} RKLLMCallback;
#endif

#endif
