"""What learners might write, one module a lesson: wrong in every way we could think of, and right
in other styles than the solution's.

Each module has WRONG, name of an exercise to (answer, words that the verdict must contain) pairs,
and RIGHT, name to answers. The first parameter names may differ from the stub's, as learners' do.
"""
