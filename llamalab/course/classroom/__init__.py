"""The classroom: the course handed out by a teacher, and what comes back graded.

Out:  release.py  an nbgrader course folder;  folder.py  which it never takes from somebody else
      solutions.py  the teacher's answers, marked;  dues.py  until when
      variant.py  a quiz about other numbers;  walled.py  nbgrader's kernels, behind the same wall
Back: submissions.py  who handed in what;  plan.py  a notebook as cells and checks
      kernel.py  a kernel of its own, with limits;  inside.py, wall/  what stands inside it
      grade.py  a submission to marks;  again.py  what passed, once more in a clean process
      marks.py  the table;  report.py  a page a student;  class_page.py  a page for the class

Nothing here needs nbgrader but walled.py, which nbgrader itself loads.
"""
