"""Words about engines, model files and memory."""

from collections.abc import Mapping

from assistant.core.doctor.wording import Words, failure, ok, unseen, warning

MODELS: Mapping[str, Words] = {
    "engine.ok": ok("{key}: {engine}", "{key}：{engine}"),
    "engine.auto": ok("{key}: auto takes {engine} ({reasons})", "{key}：auto 选用 {engine}（{reasons}）"),
    "engine.first": ok("{key}: auto takes {engine}", "{key}：auto 选用 {engine}"),
    "engine.blind": warning(
        "{key}: no image encoder can run ({reasons})",
        "{key}：没有可用的图像编码器（{reasons}）",
        "assistant models pull cpu-en (cpu-zh for Chinese speech), or name a model in the settings",
        "assistant models pull cpu-zh（英语用 cpu-en），或在设置中指定模型",
    ),
    "engine.words": ok(
        "{key}: none, the words alone tell the end of a turn ({reasons})",
        "{key}：无，仅凭词语判断一轮话是否说完（{reasons}）",
    ),
    "engine.none": failure(
        "{key}: no engine can run ({reasons})",
        "{key}：没有可用的引擎（{reasons}）",
        "assistant models pull cpu-en (cpu-zh for Chinese speech), or name a model in the settings",
        "assistant models pull cpu-zh（英语用 cpu-en），或在设置中指定模型",
    ),
    "engine.package": failure(
        "{key}: {engine} is chosen but not installed",
        "{key}：选了 {engine}，但没有安装",
        "pip install '{extra}'",
        "pip install '{extra}'",
    ),
    "engine.unseen": unseen(
        "{key}: what is installed can only be seen on the machine itself", "{key}：安装了什么只能在机器本身上看到"
    ),
    "model.ok": ok("{path} ({size})", "{path}（{size}）"),
    "model.missing": failure("{path} is not there", "没有 {path}", "get it: {mend}", "获取：{mend}"),
    "model.nowhere": failure(
        "{path} is not there",
        "没有 {path}",
        "put the model there, or correct {key}",
        "把模型放到那里，或改正设置 {key}",
    ),
    "model.nothing": failure(
        "{path} holds no model file", "{path} 里没有模型文件", "put the model there, or correct {key}", "改正设置 {key}"
    ),
    "model.partial": failure("{path} lacks {file}", "{path} 缺少 {file}", "get it again: {mend}", "重新获取：{mend}"),
    "model.length": failure(
        "{path} has {have} bytes, not {wanted}",
        "{path} 有 {have} 字节，应为 {wanted}",
        "get it again: {mend}",
        "重新获取：{mend}",
    ),
    "model.empty": failure("{path} is empty", "{path} 是空文件", "download it again", "重新下载"),
    "model.pointer": failure(
        "{path} is a Git LFS pointer, not the model",
        "{path} 是 Git LFS 指针，不是模型",
        "download the file itself: git lfs pull, or assistant models pull",
        "下载真正的文件：git lfs pull，或 assistant models pull",
    ),
    "model.magic": failure(
        "{path} is no RKNN model",
        "{path} 不是 RKNN 模型",
        "download it again, or correct {key}",
        "重新下载，或改正设置 {key}",
    ),
    "model.soc": failure(
        "{path} is named for {said}, this is {soc}",
        "{path} 的名字是给 {said} 的，而这是 {soc}",
        "take the one that was converted for {soc}",
        "换用为 {soc} 转换的模型",
    ),
    "memory.ok": ok(
        "the models take about {need}; {free} of {total} are free", "模型约占 {need}；共 {total}，空闲 {free}"
    ),
    "memory.free": ok("{free} of {total} are free", "共 {total}，空闲 {free}"),
    "memory.small": failure(
        "the models take about {need}, the machine has {total}",
        "模型约占 {need}，机器只有 {total}",
        "choose smaller models: assistant models list",
        "选小一点的模型：assistant models list",
    ),
    "memory.full": warning(
        "the models take about {need}, only {free} of {total} are free",
        "模型约占 {need}，共 {total}，只剩 {free}",
        "end other programs (a desktop takes much), or choose smaller models",
        "关掉其他程序（桌面环境占用很多），或选小一点的模型",
    ),
    "memory.unseen": unseen("/proc/meminfo cannot be read", "读不到 /proc/meminfo"),
}
