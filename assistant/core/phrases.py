"""The phrases that are commands, in English and Chinese: a table. For assistant.core.commands.

``(a|b)`` is a choice, ``[a|b]`` one that may be left out, ``<n>`` a number of assistant.core.numerals. Written in lower
case, with contractions in full: so an utterance is when it is looked up.
"""

import enum
import re


class Command(enum.Enum):
    CLEAR = "clear"
    STOP = "stop"
    REPEAT = "repeat"
    TIME = "time"
    DATE = "date"
    LOUDER = "louder"
    SOFTER = "softer"
    VOLUME = "volume"  # to a level
    MUTE = "mute"
    UNMUTE = "unmute"
    WHO = "who"
    ABLE = "able"
    HEALTH = "health"


_SOUND = "(sound|volume|speaker|speakers|audio|voice)"
_SOUND_ZH = "(声音|音量|喇叭|扬声器)"
_BIT = "[a bit|a little|a little bit|much|some]"
_BIT_ZH = "[一点|一些|点|些|一点儿|点儿]"

_TABLE: dict[Command, tuple[str, ...]] = {
    Command.CLEAR: (
        "clear [[the|this|our] conversation|[the] history|the chat|everything]",
        "(delete|reset) the conversation",
        "start over",
        "[start a] new conversation",
        "forget (everything|it all|all of it|all that|the conversation|what i said)",
        "(清除|清空)(对话|聊天|记录|历史|聊天记录)",
        "删除对话",
        "重新开始[对话]",
        "[开始]新对话",
        "忘掉[吧|一切|[刚才的]对话]",
        "忘了吧",
        "(全忘了|全忘掉|全部忘掉)",
        "把对话(清除|清空|忘掉)",
    ),
    Command.STOP: (
        "stop [it|that|now|stop|talking|speaking]",
        "[be] (quiet|silent)",
        "(silence|shut up|hush|cancel|never mind|nevermind)",
        "[that is] enough",
        "停[停|一下|下|下来|止]",
        "(别说|不要说|不用说|别讲)了",
        "(别说|闭嘴|安静|安静点|够了|好了好了|算了|取消)",
    ),
    Command.REPEAT: (
        "repeat [that|it|this|(your|the) answer|what you said|that again]",
        "say [that|it] again",
        "(once more|one more time)",
        "say that (once more|one more time)",
        "what (did you say|was that)",
        "pardon [me]",
        "再(说|讲|来)一遍",
        "再说一次",
        "重复[一遍|一下|一次]",
        "重说一遍",
        "(你说|[你]刚才说)什么",
        "你刚才说了什么",
    ),
    Command.TIME: (
        "what time is it [now|right now|here|at the moment]",
        "what is the [current] time [now|right now|here]",
        "what time do we have [now]",
        "(tell me|do you know|give me|say) (the [current] time|what time it is [now])",
        "(do you have|have you got|got) the time",
        "how late is it [now]",
        "[the] [current] time",
        "[现在|当前|这会儿]几点[钟][了|啦]",
        "[现在|当前][是]什么(时间|时候)[了]",
        "(现在|当前)[的]时间[是多少|是几点]",
        "(报|告诉我|说|报一下|说一下)[现在](时间|几点[钟][了])",
        "(时间|报时)",
    ),
    Command.DATE: (
        "what is the date [today|of today]",
        "what is (today|today's date|the current date|the day today|the day of the week)",
        "(what|which) (date|day|weekday) is (it [today]|today)",
        "(what|which) day of the week is (it [today]|today)",
        "(what|which) (month|year) is it [now]",
        "(tell me|do you know|give me|say) (the date [today]|today's date|what (date|day) it is [today])",
        "([the] date|today's date)",
        "今天[是](几号|多少号|几月几号|几月几日|什么日子|什么日期|哪天|哪一天|星期几|周几|礼拜几)[了]",
        "今天几(月几)号星期几",
        "今天[的]日期[是什么|是多少|是几号]",
        "(报|告诉我|说|报一下|说一下)今天(的日期|是几号|几号|星期几|是星期几)",
        "(今年|现在)是(哪一年|哪年|几几年)",
        "现在是几月[份]",
        "(日期|几号[了]|星期几|周几)",
    ),
    Command.LOUDER: (
        f"(turn|put|bring) (it|[the|your] {_SOUND}) up {_BIT}",
        "(turn|put) up [the|your] (volume|sound)",
        f"(make it|[speak|talk|be] {_BIT}) louder",
        "speak up [a bit|a little]",
        "(increase|raise) [the|your] volume",
        "(volume up|more volume|louder louder)",
        "(you are|that is|it is) (too quiet|not loud enough)",
        "too quiet",
        "i (cannot|can not|can hardly) hear you [well]",
        f"[把|将](音量|声音)[再](调|开|放)(大|高){_BIT_ZH}",
        f"(音量|声音)[再](加|大|高){_BIT_ZH}",
        "(调|开|放)大[点|一点](音量|声音)",
        "(增大|提高|调高|加大|增加)(音量|声音)",
        "[再|说]大[点|一点]声[一点|点|一些|些|点说|一点说]",
        "(声音太小|你太小声|太小声)了",
        "[我]听不见[你[说话]]",
    ),
    Command.SOFTER: (
        f"(turn|put|bring) (it|[the|your] {_SOUND}) down {_BIT}",
        "(turn|put) down [the|your] (volume|sound)",
        f"(make it|[speak|talk|be] {_BIT}) (quieter|softer)",
        "(speak|talk) [more] (quietly|softly)",
        "(decrease|lower|reduce) [the|your] (volume|voice)",
        "(volume down|less volume|keep it down|not so loud|too loud)",
        "(you are|that is|it is) too loud",
        f"[把|将](音量|声音)[再](调|开|放)(小|低){_BIT_ZH}",
        f"(音量|声音)[再](减|小|低|轻){_BIT_ZH}",
        "(调|开|放)小[点|一点](音量|声音)",
        "(减小|降低|调低|减少)(音量|声音)",
        "[再|说]小[点|一点]声[一点|点|一些|些|点说|一点说]",
        "(声音太大|你太大声|太大声|太吵)了",
    ),
    Command.VOLUME: (
        "(set|turn|put|change|bring|adjust) [the|your] (volume|sound) [level] [up|down] (to|at) <n>",
        "(turn|set|change) the sound level to <n>",
        "(increase|raise|decrease|lower|reduce) [the|your] volume to <n>",
        "(turn|put) (up|down) the volume to <n>",
        "[set|put] [the] volume [at|to] <n>",
        "[go to|speak at] <n> volume",
        "[把|将](音量|声音)(调|设|开|放|设置|调节|调整|改|降|升|提高|降低|调高|调低|调大|调小)[到|成|为|至]<n>",
        "(音量|声音)[到]<n>",
        "[用]<n>[的]音量",
        "(调|设|开)到<n>[的]音量",
    ),
    Command.MUTE: (
        f"mute [it|yourself|[the|your] {_SOUND}]",
        f"(turn|switch) off [the|your] {_SOUND}",
        f"(turn|switch) [the|your] {_SOUND} off",
        "(sound|volume|audio) off",
        "(go (mute|silent)|be mute|silent mode)",
        "[开启|打开|进入|切换到|调成|设为|改成]静音[模式]",
        f"(关闭|关掉|关){_SOUND_ZH}",
        f"[把]{_SOUND_ZH}(关掉|关了|关上|关闭|关)",
    ),
    Command.UNMUTE: (
        f"(unmute|un mute) [it|yourself|[the|your] {_SOUND}]",
        f"(turn|switch) [back] on [the|your] {_SOUND}",
        f"(turn|switch) [the|your] {_SOUND} [back] on [again]",
        "(sound|volume|audio) [back] on",
        "you (can|may) (talk|speak) (again|now)",
        "(speak|talk) again",
        "(取消|解除|关闭|退出|关掉)静音[模式]",
        f"(打开|开启|开){_SOUND_ZH}",
        f"[把]{_SOUND_ZH}(打开|开开|开)",
        "恢复(声音|音量)",
        "[你]可以说话了",
    ),
    Command.WHO: (
        "(who|what) are you",
        "what is your name",
        "what (are you called|should i call you|can i call you)",
        "who am i (talking|speaking) to",
        "(tell me|do you know) (who|what) you are",
        "tell me about yourself",
        "introduce yourself",
        "你[到底]是(谁|什么|什么东西)",
        "你叫什么[名字]",
        "你的名字(是什么|叫什么)",
        "(我该怎么称呼你|怎么称呼[你])",
        "(介绍一下|介绍下|介绍)[你]自己",
        "自我介绍[一下]",
    ),
    Command.ABLE: (
        "what can you (do|help me with) [for me]",
        "what can i (ask|say|ask you|say to you|do with you|use you for)",
        "what are you (able to do|capable of|good at|good for)",
        "what are your (abilities|capabilities|skills|features|functions)",
        "(tell me|do you know) what you can do",
        "how (can you help me|do i use you|can i use you)",
        "(what|which) commands do you (know|understand)",
        "help",
        "你(能|会|可以|都会|都能)(做|干)[些]什么",
        "你(会|能)什么",
        "(能|会)做[些]什么",
        "你有(什么|哪些)(功能|本领|能力|用处|用)",
        "[我](可以|能)(问|对)你[说][些]什么",
        "(我|我可以|我能)问[你][些]什么",
        "你(能|可以)帮我(做|干)[些|点]什么",
        "怎么(用|使用)你",
        "帮助",
    ),
    Command.HEALTH: (
        "how are you running [now|today|right now]",
        "are you (ok|okay|all right|alright|healthy|well|fine|running well|working [properly|well])",
        "is everything (ok|okay|all right|alright|fine|working) with you",
        "what is your (status|state|health|condition|temperature|uptime)",
        "(system status|status report|health (report|check)|report your status)",
        "(how is your health|how hot are you)",
        "(what|which) (model|models) (are you running|do you (use|run))",
        "how long have you been (running|up|on)",
        "(what is wrong|what is the matter|is (something|anything) wrong) with you",
        "你[现在|目前](运行|工作)[得](怎么样|如何|正常|还好)[吗]",
        "(系统|运行)(状态|情况)[怎么样|如何]",
        "你的[运行|健康](状态|状况|情况)[怎么样|如何]",
        "你的温度[是]多少",
        "你(还好|没事|正常)[吗]",
        "你(哪里|是不是|有没有)出(问题|毛病)[了]",
        "(报告|汇报|说)[一下][你的|系统|运行](状态|情况)",
        "你[现在]用的[是](什么|哪个|哪些)模型",
        "你运行(多久|多长时间)了",
    ),
}

_INNERMOST = re.compile(r"\[([^][()]*)\]|\(([^][()]*)\)")


def expanded(template: str) -> list[str]:
    """Every text that a template stands for, single-spaced."""
    found = _INNERMOST.search(template)
    if found is None:
        return [" ".join(template.split())]
    optional = found[1] is not None
    choices = [*(found[1] if optional else found[2]).split("|"), *([""] if optional else [])]
    before, after = template[: found.start()], template[found.end() :]
    return [text for choice in choices for text in expanded(f"{before}{choice}{after}")]


PHRASES: dict[Command, tuple[str, ...]] = {
    command: tuple(dict.fromkeys(text for template in templates for text in expanded(template)))
    for command, templates in _TABLE.items()
}
