#!/bin/sh
# Speaks the set anew: tests/speech/<voice>/*.wav, tests/speech/foreign/*.wav and config/demo/speech/*.wav.
# Needs flite 2.2 (Debian and Ubuntu: apt-get install flite). The same flite gives the same bytes.
set -eu
cd "$(dirname "$0")"
demo=../../config/demo/speech

speak() { # voice, folder, words: one file a line, its words joined by hyphens
    mkdir -p "$2"
    while read -r words; do
        flite -voice "$1" -t "$words" -o "$2/$(echo "$words" | tr -d ',' | tr ' ' '-').wav"
    done
}

speak slt "$demo" <<'LINES'
what do you see
what color is the ball
and the cube
is there a mug
how many objects are there
what is left of the ball
what is right of the ball
what does the gauge read
is the lamp on
what color is the lamp
has the lamp changed
has the gauge changed
and the ball
and the lamp
clear the conversation
repeat that
thank you
what can you do
how many balls are there
is there a red ball
what color is the cone
what color is the mug
and the mug
and the cone
and the bottle
stop
LINES

speak rms rms <<'LINES'
what do you see
what color is the bottle
is there a green cube
how many objects are there
how many mugs are there
what is left of the cone
where is the ball
and the mug
what does the gauge read
has the lamp changed
clear the conversation
hello
LINES

speak awb awb <<'LINES'
what is on the table
what color is it
is there a ball
is there a purple mug
how many cubes are there
what is right of the bottle
where is the cone
and the lamp
is the lamp on
has the gauge changed
repeat that
what can you do
LINES

speak kal16 kal16 <<'LINES'
what do you see
what color is the lamp
is there a yellow bottle
how many objects are there
how many cones are there
what is left of the mug
what is right of the cube
and the gauge
what does the gauge read
is the lamp on
thank you
stop
LINES

speak slt foreign <<'LINES'
what is the weather like today
set a timer for five minutes
LINES
speak rms foreign <<'LINES'
my favorite season is autumn
remind me to water the plants
LINES
speak awb foreign <<'LINES'
put some salt and pepper in the soup
turn on the radio
LINES
speak kal16 foreign <<'LINES'
how long should I bake the potatoes
who won the football game last night
LINES

speak slt lane <<'LINES'
what time is it
set the volume to forty percent
mute the sound
turn on the sound
how are you running
LINES

speak slt wake <<'LINES'
hey assistant what do you see
hey assistant
LINES
speak rms wake <<'LINES'
hey assistant how many objects are there
LINES
speak awb wake <<'LINES'
hey jarvis
hey jarvis, what do you see
hey jarvis, hey jarvis, is the lamp on
LINES
