// Frames from picture files and from the camera.

const MOST_SIDE = 4096; // as le_prepare has it

/** The pixels of what a canvas can draw, on white where it is transparent. */
function pixelsOf(source, width, height) {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.drawImage(source, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
}

/** The frame of a picture file, as the browser decodes it. */
export async function frameOfFile(file) {
    let bitmap;
    try {
        bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
    } catch {
        throw new Error(`This browser cannot read ${file.name || "that"} as a picture.`);
    }
    const { width, height } = bitmap;
    if (Math.max(width, height) > MOST_SIDE) {
        throw new Error(`${file.name} has ${width} × ${height} pixels; at most ${MOST_SIDE} a side are prepared.`);
    }
    return pixelsOf(bitmap, width, height);
}

/** The camera: calls `onFrame` with each of its frames until it is stopped. */
export class Camera {
    constructor(onFrame) {
        this.onFrame = onFrame;
        this.stream = null;
    }

    static get isThere() {
        return typeof navigator.mediaDevices?.getUserMedia === "function";
    }

    get isOn() {
        return this.stream !== null;
    }

    async start() {
        const wish = { width: { ideal: 320 }, height: { ideal: 240 }, facingMode: "environment" };
        this.stream = await navigator.mediaDevices.getUserMedia({ video: wish });
        const video = document.createElement("video");
        [video.muted, video.playsInline, video.srcObject] = [true, true, this.stream];
        await video.play();
        const next = () => {
            if (!this.isOn) {
                return;
            }
            if (video.videoWidth > 0) {
                this.onFrame(pixelsOf(video, video.videoWidth, video.videoHeight));
            }
            requestAnimationFrame(next);
        };
        next();
    }

    stop() {
        for (const track of this.stream?.getTracks() ?? []) {
            track.stop();
        }
        this.stream = null;
    }
}
