/* Prints the layouts of abi.h as rkllm-offsets.txt has them: for the test that holds them against the measured ones. */
#include "abi.h"

#include <stdio.h>

#define SIZE(type) printf("%s %s size=%zu align=%zu\n", SIM_VERSION, #type, sizeof(type), _Alignof(type))
#define AT(type, field) printf("%7zu %s.%s\n", offsetof(type, field), #type, #field)

int main(void) {
    SIZE(RKLLMExtendParam);
    AT(RKLLMExtendParam, base_domain_id), AT(RKLLMExtendParam, reserved);
    SIZE(RKLLMParam);
    AT(RKLLMParam, top_k), AT(RKLLMParam, top_p), AT(RKLLMParam, temperature), AT(RKLLMParam, mirostat_eta);
    AT(RKLLMParam, skip_special_token), AT(RKLLMParam, is_async), AT(RKLLMParam, extend_param);
    SIZE(RKLLMInput);
    AT(RKLLMInput, input_type), AT(RKLLMInput, prompt_input), AT(RKLLMInput, multimodal_input);
    SIZE(RKLLMInferParam);
    AT(RKLLMInferParam, mode), AT(RKLLMInferParam, lora_params), AT(RKLLMInferParam, prompt_cache_params);
    SIZE(RKLLMResult);
    AT(RKLLMResult, text), AT(RKLLMResult, token_id), AT(RKLLMResult, last_hidden_layer);
    SIZE(RKLLMPromptCacheParam), SIZE(RKLLMLoraAdapter);
    AT(RKLLMLoraAdapter, scale), AT(RKLLMPromptCacheParam, prompt_cache_path);
    SIZE(RKLLMMultiModalInput);
#if SIM_ABI >= 2
    AT(RKLLMExtendParam, enabled_cpus_num), AT(RKLLMExtendParam, enabled_cpus_mask);
    AT(RKLLMParam, n_keep), AT(RKLLMInferParam, keep_history), AT(RKLLMResult, logits);
#endif
#if SIM_ABI <= 4
    AT(RKLLMParam, img_start), AT(RKLLMParam, img_end), AT(RKLLMParam, img_content);
    AT(RKLLMMultiModalInput, image_embed), AT(RKLLMMultiModalInput, n_image_tokens);
#endif
#if SIM_ABI >= 3 && SIM_ABI <= 4
    AT(RKLLMMultiModalInput, n_image), AT(RKLLMMultiModalInput, image_height);
#endif
#if SIM_ABI >= 4
    AT(RKLLMExtendParam, n_batch), AT(RKLLMExtendParam, use_cross_attn), AT(RKLLMInput, role);
    AT(RKLLMInput, enable_thinking), AT(RKLLMResult, perf), AT(RKLLMPerfStat, memory_usage_mb);
    SIZE(RKLLMPerfStat), SIZE(RKLLMCrossAttnParam);
    AT(RKLLMCrossAttnParam, num_tokens);
#endif
#if SIM_ABI >= 5
    AT(RKLLMParam, ignore_eos_token), AT(RKLLMInferParam, sampling_params), AT(RKLLMInferParam, max_new_tokens);
    SIZE(RKLLMSamplingParam), SIZE(RKLLMCallback);
    AT(RKLLMSamplingParam, mirostat_eta), AT(RKLLMCallback, embed_userdata);
    AT(RKLLMMultiModalInput, image.n_image), AT(RKLLMMultiModalInput, image.image_content);
    AT(RKLLMMultiModalInput, video.frame_height);
#endif
    return 0;
}
