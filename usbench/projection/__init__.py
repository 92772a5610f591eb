"""Maps: embeddings projected to the plane, and figures for what the eye believes to see there.

A projection to two dimensions flatters and distorts, so a map never stands alone: beside it are how faithful it is
(trustworthiness), how far groups lie apart (silhouette), and how often the nearest images of *other* subjects show the
same group, in the embedding itself and in the map.
"""
