"""The difficulties of recurrent networks, shown in numbers and pictures: each study is a file, and `nlp study NAME`.

    from nlp.studies.material import read_text
    from nlp.studies.size import Size
    from nlp.studies.vanishing import study_vanishing

    size = Size()
    result = study_vanishing(read_text(None, size), size)
    result.draw().savefig("vanishing.png")

A study takes a text that `read_text` cut to size, trains small models on it with nlp's own trainer, and returns a plain
dataclass of numbers that can draw itself. It asks now and then whether to go on; told not to, it returns the trainings
that are done.
"""
