"""Section `render_views` of params: where pictures come from, and what they show."""

from __future__ import annotations

from dataclasses import dataclass

from actial.errors import UserError
from actial.typed_yaml import setting


@dataclass(frozen=True)
class Captures:
    """What photographs with known cameras must be like, and what they become; for backend captures alone."""

    min_views: int = setting("Fewest usable pictures of a capture.", ge=4)
    max_views: int | None = setting("Most pictures of a capture that are taken, spread around the object; null for all.", ge=4)
    longest_side_px: int = setting("Length that the longer side of larger pictures is shrunk to, pixels.", ge=28, le=4096)
    max_up_error_deg: float = setting("Largest estimated error of a capture's up direction, degrees.", gt=0, le=90)
    max_center_error_r: float = setting("Largest estimated error of the object's centre, shares of the median camera distance r.", gt=0, le=1)
    licence: str = setting("Licence of photographs whose folder, and every folder above it in data/captures, holds no LICENSE or licence.txt.")

    def __post_init__(self) -> None:
        if self.max_views is not None and self.max_views < self.min_views:
            raise UserError(f"render_views.captures.max_views is {self.max_views}; it must be at least min_views ({self.min_views}), or null")


@dataclass(frozen=True)
class Assets:
    """3D assets as the subjects of scenes; for backend blender."""

    source: str = setting(
        "What stands in the scenes: procedural (made of coloured parts), folder (the files in data/assets), or pybullet (1,000 meshes of its package).",
        choices=("procedural", "folder", "pybullet"),
    )
    max_faces: int = setting("Most faces of an asset.", ge=1)
    max_mb: float = setting("Largest file of an asset, megabytes.", gt=0)
    keep_round: bool = setting("Keep assets without textures that look the same from all around, though no question about them has an answer.")
    licence: str = setting("Licence of assets about which no assets.yaml says anything, as it is written into their views.")


@dataclass(frozen=True)
class SceneLook:
    """Light, ground, background and finish; each scene draws among what is named."""

    lights: tuple[str, ...] = setting(
        "sun, three_point (lamps around the subject), or hdri (photographed surroundings with their light, six of them; for blender alone).",
        choices=("sun", "three_point", "hdri"),
    )
    grounds: tuple[str, ...] = setting(
        "Patterns of the ground; on a plain one little tells a moved camera from a moved object.", choices=("checker", "stripes", "patches", "plain")
    )
    surroundings: bool = setting("Whether things stand around, beyond the cameras.")
    finishes: tuple[str, ...] = setting(
        "Of each coloured solid: matt, satin, glossy (mirrors its surroundings; more samples are needed), or metal; others than matt for blender alone. "
        "What has materials of its own keeps them.",
        choices=("matt", "satin", "glossy", "metal"),
    )


@dataclass(frozen=True)
class SceneContents:
    """What stands in a scene beside its subject, and whether it all stays where it is; ignored with captures."""

    companions: tuple[int, int] = setting(
        "Fewest and most other things near the subject, at most 8: coloured solids, no two of one colour and shape; [0, 0] for none.", ge=0, le=8
    )
    two_state_share: float = setting(
        "Share of scenes in some of whose views (at most half of them; four stay in the first state) one companion stands elsewhere; 0 for none.", ge=0, le=1
    )
    displacement_m: tuple[float, float] = setting("How far a companion that moves goes, least and most, metres; the subject measures about 2.", ge=0.1, le=3)
    altered_share: float = setting(
        "Share of scenes, of those in which no companion moves, in some of whose views (as many as for two_state_share) the subject itself is altered: one "
        "part moved, or all of it mirrored, 1.3 to 1.5 times larger or smaller, or sheared; of assets, larger or smaller, or sheared; 0 for none.",
        ge=0,
        le=1,
    )
    fronts: bool = setting("Whether a procedural subject has a front, marked by a head that looks out of it; those of assets are noted in assets.yaml.")

    def __post_init__(self) -> None:
        for key in ("companions", "displacement_m"):
            least, most = getattr(self, key)
            if least > most:
                raise UserError(f"render_views.scenes.{key} is [{least:g}, {most:g}]; the first number is the least and must not exceed the second, the most")
        if self.two_state_share and not self.companions[0]:
            raise UserError(
                f"render_views.scenes.two_state_share is {self.two_state_share:g} and companions is {list(self.companions)}: what moves is a companion, so "
                "let every scene have at least 1, or set two_state_share to 0"
            )
        if self.altered_share and not self.companions[0]:
            raise UserError(
                f"render_views.scenes.altered_share is {self.altered_share:g} and companions is {list(self.companions)}: only beside things that stay is a "
                "larger subject told from a nearer one, so let every scene have at least 1, or set altered_share to 0"
            )


@dataclass(frozen=True)
class RenderViews:
    """Scenes, cameras and pictures."""

    backend: str = setting(
        "Where pictures come from: blender (Cycles), boxes (numpy, for tests), or captures (photographs with known cameras, in data/captures).",
        choices=("blender", "boxes", "captures"),
    )
    n_scenes: int = setting("Scenes; with captures the most that are taken, drawn by the seed where there are more.", ge=1)
    views_per_scene: int = setting("Views of each scene; four already offer every label. Ignored with captures, see captures.max_views.", ge=4, le=100)
    moves: tuple[str, ...] = setting(
        "How views stand to one drawn before (r: its distance to the subject), in order of need. The first view is anywhere, the others take these words in "
        "turn. turned: same place, 11 to 30 degrees to a side. orbit: 16 to 60 degrees around. shifted: 0.25 to 0.35 r to a side, same direction. "
        "still: no movement (below 0.01 r and 1 degree). radial: 1.17 to 1.45 times as far or near, or 9 to 26 degrees higher or lower. "
        "counter: 9.5 to 14.5 degrees around, turned against it. free: up to 60 degrees around. vertical: 0.2 to 0.35 r straight up or down, same direction. "
        "dolly: 0.2 to 0.35 r forward or backward on the level, same direction. roll: same place and aim, tilted 8 to 30 degrees. "
        "zoom: same place and direction, focal length changed 1.15 to 1.5 times. away: same place, turned 25 to 120 degrees, until the subject's middle is "
        "out of the picture. Ignored with captures.",
        choices=("turned", "orbit", "shifted", "still", "radial", "counter", "free", "vertical", "dolly", "roll", "zoom", "away"),
    )
    width_px: int = setting("Picture width, pixels; ignored with captures, see captures.longest_side_px.", ge=28, le=4096)
    height_px: int = setting("Picture height, pixels; ignored with captures.", ge=28, le=4096)
    samples: int = setting("Cycles samples per pixel, denoised; for blender alone.", ge=1, le=4096)
    look: SceneLook = setting("Light, ground, background and finish.")
    scenes: SceneContents = setting("One object or several, still or moved.")
    passes: tuple[str, ...] = setting("What is stored of each pixel beside its colour, from the same render; for blender alone.", choices=("depth", "normals"))
    assets: Assets = setting("What stands in the scenes.")
    captures: Captures = setting("Limits for captures, and what becomes of their pictures.")
    shard_mb: int = setting("Size at which a new Parquet shard is begun, megabytes.", ge=1)
    max_refused_share: float = setting("Share of scenes, of assets, or of captures, that may be set aside before the stage fails.", ge=0, le=1)

    def __post_init__(self) -> None:
        _check_moves(self.moves)
        for key, named in (("lights", self.look.lights), ("grounds", self.look.grounds), ("finishes", self.look.finishes)):
            if not named:
                raise UserError(f"render_views.look.{key} is empty; name at least one")
        for key, named, plain in (("lights", self.look.lights, "sun"), ("finishes", self.look.finishes, "matt")):
            if set(named) - {plain} and self.backend != "blender":
                raise UserError(
                    f"render_views.look.{key} is {list(named)} and render_views.backend is {self.backend}; only blender has other {key} than {plain}"
                )
        if self.passes and self.backend != "blender":
            raise UserError(f"render_views.passes is {list(self.passes)} and render_views.backend is {self.backend}; only blender renders passes")
        if self.assets.source != "procedural" and self.backend != "blender":
            raise UserError(f"render_views.assets.source is {self.assets.source} and render_views.backend is {self.backend}; only blender renders assets")
        if self.backend == "captures":
            return
        if self.scenes.two_state_share and self.views_per_scene < 5:
            raise UserError(
                f"render_views.scenes.two_state_share is {self.scenes.two_state_share:g} and render_views.views_per_scene is {self.views_per_scene}; give it "
                "at least 5: four of the first state, which offer every label, and one of the second"
            )
        if self.scenes.altered_share and self.views_per_scene < 6:
            raise UserError(
                f"render_views.scenes.altered_share is {self.scenes.altered_share:g} and render_views.views_per_scene is {self.views_per_scene}; give it at "
                "least 6: four of the first state, which offer every label, and two of the second"
            )
        if self.scenes.fronts and self.assets.source != "procedural":
            raise UserError(
                f"render_views.scenes.fronts is true and render_views.assets.source is {self.assets.source}; only procedural subjects are given a front: "
                "note those of assets in assets.yaml (front: +x, …), and set fronts to false"
            )


def _check_moves(moves: tuple[str, ...]) -> None:
    if twice := [word for word in moves if moves.count(word) > 1]:
        raise UserError(f"render_views.moves names {twice[0]} twice; name each word once: views beyond the list take its words again, from the first on")
    if not set(moves) - {"away"}:
        raise UserError(f"render_views.moves is [{', '.join(moves)}]: only the first view of a scene would show its subject; name one more, such as orbit")
