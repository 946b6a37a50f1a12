"""The schema of every configuration: one dataclass per kind of option, and the check of the whole.

Hydra checks names and types while it composes; ``checks.to_settings`` finds what slips past it
(``+key=…`` that nothing reads). Library classes are named by strings only, so that importing this
package stays cheap. What an option means is said in its file under ``conf/``.
"""
